package rootfs

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Filter leaves entries out by name. The order of its patterns does not matter.
//
// A pattern is a path relative to the root, always the whole path: "boot" is the folder
// boot in the root and no other. A leading or trailing slash and "./" mean nothing.
// Within one name, "*" stands for any bytes, "?" for one character, "[a-z]" for one of a
// class, and a backslash takes the next character as it is, all as in path.Match. A name
// "**" stands for any number of names, none included; at the end of a pattern for one or more.
//
//	boot            the folder boot and all in it
//	boot/*          all in boot, not boot itself; boot/** says the same
//	**/*.pyc        such names at any depth, the root included
//	var/**/log      var/log, var/a/log, var/a/b/log
//
// An entry stays out when it, or a folder that it lies in, matches an Exclude pattern, unless
// it, or a folder that it lies in, matches an Include pattern. The folders above an
// entry that stays are kept, with their own attributes; the root always is. Include alone
// leaves nothing out. When the first name of a file with several hard links stays out, the next
// name becomes the file.
type Filter struct{ Exclude, Include []string }

// pattern is one pattern, name by name.
type pattern []string

// filter is a Filter ready for use.
type filter struct{ exclude, include []pattern }

// verdict is what the patterns say of an entry, those of the folders above it included.
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

// judge gives the verdict on path, given that on the folder it lies in.
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

// keeps reports whether path stays, going by it and the folders above it.
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

// reaches reports whether something below the folder path may match an Include pattern.
func (f *filter) reaches(path string) bool {
	names := strings.Split(path, "/")
	return slices.ContainsFunc(f.include, func(p pattern) bool { return p.reaches(names) })
}

// match reports whether the pattern matches exactly these names. A "**" takes as few as it can; on
// a mismatch only the latest one takes one more, so the work is bounded by the product of the
// lengths.
func (p pattern) match(names []string) bool {
	retryP, retryN := -1, 0
	i, n := 0, 0
	for n < len(names) {
		switch {
		case i < len(p) && p[i] == "**":
			retryP, retryN = i, n
			i++
			if i == len(p) {
				return true // it takes the names that are left, one at least
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

// reaches reports whether the pattern can match a path that starts with names and goes on.
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
	return ok && err == nil // the pattern's syntax was checked by parsePattern
}
