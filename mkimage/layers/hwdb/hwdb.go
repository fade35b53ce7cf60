// Package hwdb makes udev's hardware database of a tree, byte for byte as the tree's own
// systemd-hwdb(8) does with "update". [Build] does it all.
//
// It knows systemd 246 and later, whose databases say where each property comes from.
package hwdb

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/layers/internal/systemd"
	"deltaup/mkimage/tree"
)

// Places of the database in a tree. udev takes the first that is there.
const (
	localPath  = "etc/udev/hwdb.bin"
	VendorPath = "usr/lib/udev/hwdb.bin" // of "update --usr"; lib/udev where /usr is not merged
)

var (
	// ErrUnknown is wrapped when the tree has no systemd whose database is known.
	ErrUnknown = errors.New("no known systemd-hwdb")
	// ErrTooLarge is wrapped when there are more properties than a machine has.
	ErrTooLarge = errors.New("hwdb: too large")
)

// Limits of what hostile text files can ask for. A record with many matches and many properties
// has the product of these.
const (
	valuesMax  = 1 << 20
	stringsMax = 256 << 20 // bytes
)

// Build makes the database of a tree, which stays open; nil: the tree has no text files, and then
// systemd-hwdb removes a database that is there. Lines that are wrong, and files that cannot be
// read, are left out, as systemd-hwdb does. The mode of the file is 0444. Errors wrap ErrUnknown or
// ErrTooLarge, or are those of the tree.
func Build(t tree.Tree) ([]byte, error) { return build(t, "") }

// build is Build for text files whose paths have a prefix.
func build(t tree.Tree, prefix string) ([]byte, error) {
	root := lookup.New(t)
	version, err := findVersion(root)
	if err != nil {
		return nil, err
	}
	vendor := "/usr/lib/udev/hwdb.d"
	if version < 255 {
		vendor = "/lib/udev/hwdb.d"
	}
	files := systemd.Files(root, ".hwdb", "/etc/udev/hwdb.d", vendor)
	if len(files) == 0 {
		return nil, nil
	}
	if len(files) > math.MaxUint16 {
		return nil, fmt.Errorf("%w: %d files", ErrTooLarge, len(files))
	}
	b := &builder{strings: systemd.NewStrings(), root: &node{}}
	for i, f := range files {
		if f.Err != nil {
			continue
		}
		if err := b.file(prefix+f.Path, uint16(i+1), f.Text); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return b.encode(version), nil
}

var library = regexp.MustCompile(`^libsystemd-shared-([0-9]{3,5})\b.*\.so$`)

// findVersion finds systemd's version in the name of its library.
func findVersion(root *lookup.View) (int, error) {
	folders := []string{"usr/lib/systemd", "lib/systemd", "usr/lib64/systemd"}
	for _, parent := range []string{"usr/lib", "lib"} {
		for _, name := range root.Names(parent) {
			if strings.Contains(name, "-linux-gnu") {
				folders = append(folders, parent+"/"+name+"/systemd")
			}
		}
	}
	for _, folder := range folders {
		for _, name := range root.Names(folder) {
			if m := library.FindStringSubmatch(name); m != nil {
				version, _ := strconv.Atoi(m[1]) // only digits
				if version < 246 {
					return 0, fmt.Errorf("%w: systemd %d", ErrUnknown, version)
				}
				return version, nil
			}
		}
	}
	return 0, fmt.Errorf("%w: the tree has no libsystemd-shared", ErrUnknown)
}

// states of reading a file
const (
	outside = iota
	matches // behind a match, before its properties
	properties
)

// file reads one text file, of which priority is the number.
func (b *builder) file(name string, priority uint16, text []byte) error {
	state := outside
	var match []string
	for number := uint32(1); ; number++ {
		line, rest, ok, err := systemd.Line(text)
		if err != nil || !ok {
			return nil // what comes behind a line that is too long is not read
		}
		text = rest
		if strings.HasPrefix(line, "#") {
			continue
		}
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimRight(line, " \t\n\v\f\r")
		indented := strings.HasPrefix(line, " ")
		switch {
		case line == "":
			state, match = outside, nil
		case !indented && state == properties: // an error, and the record's end
			state, match = outside, nil
		case !indented:
			state = matches
			match = append(match, line)
		case state != outside:
			state = properties
			key, value, ok := property(line)
			if !ok {
				continue
			}
			for _, m := range match {
				if err := b.insert(m, key, value, name, priority, number); err != nil {
					return err
				}
			}
		}
	}
}

// property splits a line " KEY=VALUE". The key keeps one space before it.
func property(line string) (key, value string, ok bool) {
	key, value, ok = strings.Cut(line, "=")
	blank := func(i int) bool { return len(key) > i && (key[i] == ' ' || key[i] == '\t') }
	for blank(0) && blank(1) {
		key = key[1:]
	}
	return key, value, ok && len(key) > 1
}
