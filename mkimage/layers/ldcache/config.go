package ldcache

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"deltaup/mkimage/tree"
)

// Limits of the configuration.
const (
	configMax   = 1 << 20 // bytes of one file
	includesMax = 10_000  // files read
	depthMax    = 64      // files that include each other
)

// config finds the folders to search: those of ld.so.conf, then those that Debian's ldconfig
// always searches.
func (b *builder) config() error {
	files := 0
	if err := b.readConfig("/etc/ld.so.conf", 0, &files); err != nil {
		return err
	}
	triplet := triplets[b.glibc.machine]
	for _, f := range []string{"/lib/" + triplet, "/usr/lib/" + triplet, "/lib", "/usr/lib"} {
		if err := b.addFolder(f); err != nil {
			return err
		}
	}
	return nil
}

// readConfig adds the folders of one configuration file and those that it includes.
func (b *builder) readConfig(name string, depth int, files *int) error {
	*files++
	if depth > depthMax || *files > includesMax {
		return fmt.Errorf("%w: %s: too many files include others", ErrConfig, name)
	}
	text, err := b.root.Read(name, configMax)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid):
		return nil // ldconfig goes on, too
	case err != nil:
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	for _, line := range parseConfig(string(text)) {
		if line.include == nil {
			if err := b.addFolder(line.folder); err != nil {
				return err
			}
		}
		for _, pattern := range line.include {
			if !strings.HasPrefix(pattern, "/") {
				pattern = path.Dir(name) + "/" + pattern
			}
			for _, match := range b.glob(pattern) {
				if err := b.readConfig(match, depth+1, files); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// configLine is a line of ld.so.conf that is not empty.
type configLine struct {
	folder  string
	include []string // patterns of files; nil: the line names a folder
}

// parseConfig reads a configuration file, which has no wrong lines.
func parseConfig(text string) []configLine {
	var lines []configLine
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if i := strings.IndexAny(line, "#\x00"); i >= 0 {
			line = line[:i]
		}
		line = strings.TrimLeft(line, " \t\n\v\f\r")
		blank := func(i int) bool { return len(line) > i && (line[i] == ' ' || line[i] == '\t') }
		switch {
		case line == "":
		case strings.HasPrefix(line, "include") && blank(7):
			include := strings.FieldsFunc(line[8:], func(r rune) bool { return r == ' ' || r == '\t' })
			lines = append(lines, configLine{include: append([]string{}, include...)})
		case len(line) >= 5 && strings.EqualFold(line[:5], "hwcap") && blank(5): // no longer heeded
		default:
			lines = append(lines, configLine{folder: line})
		}
	}
	return lines
}

// glob finds the files that a pattern of glob(3) with a leading slash stands for, by the bytes of
// their names.
func (b *builder) glob(pattern string) []string {
	found := []string{""}
	for _, part := range strings.Split(pattern, "/")[1:] {
		if part == "" {
			continue
		}
		var next []string
		for _, dir := range found {
			if e := b.root.Stat(dir); e == nil || e.Type != tree.Directory {
				continue
			}
			if !strings.ContainsAny(part, `*?[\`) {
				if b.root.Lstat(dir+"/"+part) != nil {
					next = append(next, dir+"/"+part)
				}
				continue
			}
			for _, name := range b.root.Names(dir) {
				if (name[0] != '.' || part[0] == '.') && matches(part, name) {
					next = append(next, dir+"/"+name)
				}
			}
		}
		found = next
	}
	return found
}

// matches tells whether a name fits a pattern; one that is wrong stands for itself.
func matches(pattern, name string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "[!", "[^"), name)
	return ok || err != nil && pattern == name
}
