package rootfs

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Filter leaves entries out by name. The order of its patterns does not matter.
//
// A pattern matches whole paths, relative to the root: "boot" matches only the folder boot in the
// root. A leading slash, a trailing slash and "./" mean nothing. Within one name, as in path.Match,
// "*" matches any bytes, "?" one character, "[a-z]" one character of a class, and a backslash the
// next character literally. A name "**" matches any number of names, also none; at the end of a
// pattern it matches one or more.
//
//	boot            the folder boot and all in it
//	boot/*          all in boot, not boot itself; boot/** says the same
//	**/*.pyc        such names at any depth, the root included
//	var/**/log      var/log, var/a/log, var/a/b/log
//
// Filter leaves out an entry when it, or a folder above it, matches an Exclude pattern, and neither
// it nor a folder above it matches an Include pattern. It keeps the root, and the folders above a
// kept entry with their own attributes. Include alone leaves nothing out. When the first name of a
// file with several hard links is left out, the next name becomes the file.
type Filter struct{ Exclude, Include []string }

// Check tells what is wrong with the patterns.
func (f Filter) Check() error {
	_, err := newFilter(f)
	return err
}

// pattern is one pattern, name by name.
type pattern []string

// filter is a parsed Filter.
type filter struct{ exclude, include []pattern }

// verdict is what the patterns say about an entry and the folders above it.
type verdict struct{ excluded, included bool }

func (v verdict) keep() bool { return v.included || !v.excluded }

func newFilter(f Filter) (*filter, error) {
	exclude, err := parsePatterns(f.Exclude)
	if err != nil {
		return nil, fmt.Errorf("exclude %w", err)
	}
	include, err := parsePatterns(f.Include)
	if err != nil {
		return nil, fmt.Errorf("include %w", err)
	}
	return &filter{exclude, include}, nil
}

func parsePatterns(patterns []string) ([]pattern, error) {
	var parsed []pattern
	for _, s := range patterns {
		p, err := parsePattern(s)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", s, err)
		}
		parsed = append(parsed, p)
	}
	return parsed, nil
}

func parsePattern(s string) (pattern, error) {
	var p pattern
	for name := range strings.SplitSeq(s, "/") {
		switch name {
		case "", ".":
			continue
		case "..":
			return nil, fmt.Errorf("%q matches nothing: patterns are relative to the root", name)
		}
		if _, err := path.Match(name, ""); err != nil {
			return nil, err
		}
		p = append(p, name)
	}
	if len(p) == 0 {
		return nil, fmt.Errorf("the root itself cannot be left out")
	}
	return p, nil
}

// judge gives the verdict on path. parent is the verdict on its folder.
func (f *filter) judge(parent verdict, path string) verdict {
	if len(f.exclude) == 0 || path == "" {
		return parent
	}
	names := strings.Split(path, "/")
	matches := func(p pattern) bool { return p.match(names) }
	return verdict{
		excluded: parent.excluded || slices.ContainsFunc(f.exclude, matches),
		included: parent.included || slices.ContainsFunc(f.include, matches),
	}
}

// keeps reports whether path stays. It judges path and all folders above it.
func (f *filter) keeps(path string) bool {
	if len(f.exclude) == 0 {
		return true
	}
	var v verdict
	for i := range len(path) {
		if path[i] == '/' {
			v = f.judge(v, path[:i])
		}
	}
	return f.judge(v, path).keep()
}

// reaches reports whether an entry below the folder path may match an Include pattern.
func (f *filter) reaches(path string) bool {
	names := strings.Split(path, "/")
	return slices.ContainsFunc(f.include, func(p pattern) bool { return p.reaches(names) })
}

// match reports whether the pattern matches exactly these names. A "**" takes as few names as
// possible. After a mismatch only the last "**" takes one more, so the product of the lengths
// bounds the work.
func (p pattern) match(names []string) bool {
	retryP, retryN := -1, 0
	i, n := 0, 0
	for n < len(names) {
		switch {
		case i < len(p) && p[i] == "**":
			retryP, retryN = i, n
			i++
			if i == len(p) {
				return true // it takes all names that are left, at least one
			}
			continue
		case i < len(p) && matchName(p[i], names[n]):
			i++
			n++
			continue
		case retryP < 0:
			return false
		}
		retryN++
		i, n = retryP+1, retryN
	}
	return i == len(p)
}

// reaches reports whether the pattern can match a longer path that begins with names.
func (p pattern) reaches(names []string) bool {
	for i, name := range names {
		switch {
		case i == len(p):
			return false
		case p[i] == "**":
			return true
		case !matchName(p[i], name):
			return false
		}
	}
	return len(p) > len(names)
}

func matchName(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil // parsePattern has checked the pattern
}
