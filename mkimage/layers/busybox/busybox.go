// Package busybox tells which links to busybox a tree needs, without running it.
//
// Begin with [ParsePaths] where the distribution has a list, as Alpine does in [PathsFile], and with
// [Applets] for the program itself.
package busybox

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// PathsFile is where Alpine's package of busybox has its list.
const PathsFile = "etc/busybox-paths.d/busybox"

var (
	// ErrMalformed is wrapped when a list or a program is damaged.
	ErrMalformed = errors.New("malformed list of applets")
	// ErrUnknown is wrapped when the tables of a program are not found.
	ErrUnknown = errors.New("no applets found")
)

const (
	sectionMax = 16 << 20 // bytes of a section of the program
	appletsMax = 2000
	nameMax    = 64 // bytes of an applet's name
	listMax    = 1 << 20
)

// ParsePaths reads a list of absolute paths, one a line. It gives them sorted, as in a tree.
func ParsePaths(text []byte) (paths []string, err error) {
	if len(text) > listMax {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(text))
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		name := strings.TrimPrefix(line, "/")
		if name == line || name == "" || path.Clean(line) != line || strings.ContainsRune(line, 0) {
			return nil, fmt.Errorf("%w: %.200q is no path", ErrMalformed, line)
		}
		paths = append(paths, name)
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// places are the folders of applets, by the numbers that busybox gives them.
var places = []string{"", "bin/", "sbin/", "usr/bin/", "usr/sbin/"}

// known are applets that any build puts into the same folder if it has them. By these the table of
// folders is found.
var known = map[string]byte{
	"[": 3, "[[": 3, "ash": 1, "awk": 3, "basename": 3, "cat": 1, "chmod": 1, "chroot": 4, "cp": 1,
	"cut": 3, "dd": 1, "df": 1, "du": 3, "env": 3, "expr": 3, "find": 3, "grep": 1, "halt": 2,
	"head": 3, "hostname": 1, "id": 3, "ifconfig": 2, "init": 2, "insmod": 2, "kill": 1, "ln": 1,
	"losetup": 2, "ls": 1, "lsmod": 2, "mkdir": 1, "mknod": 1, "modprobe": 2, "mount": 1, "mv": 1,
	"poweroff": 2, "ps": 1, "reboot": 2, "rm": 1, "rmdir": 1, "rmmod": 2, "sed": 1, "sh": 1,
	"sleep": 1, "sort": 3, "stty": 1, "switch_root": 2, "sync": 1, "tail": 3, "tar": 1, "test": 3,
	"touch": 1, "tr": 3, "true": 1, "umount": 1, "uname": 1, "wc": 3, "xargs": 3, "zcat": 1,
}

const knownMin = 8 // that a program must have, so that the table cannot be another one

// Applets gives the paths that "busybox --list-full" would print, sorted, from the tables in the
// program: that of the applets' names, which are sorted and end in a zero byte each, and that of
// their folders, a number of four bits each. Errors wrap ErrUnknown or ErrMalformed.
func Applets(program io.ReaderAt) ([]string, error) {
	data, err := readOnly(program)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, section := range data {
		for _, names := range tables(section) {
			for _, other := range data {
				paths := locate(names, other)
				if paths != nil && found != nil && !slices.Equal(paths, found) {
					return nil, fmt.Errorf("%w: several tables", ErrUnknown)
				}
				if paths != nil {
					found = paths
				}
			}
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: the program has no tables of busybox", ErrUnknown)
	}
	return found, nil
}

// readOnly gives the sections of a program that hold constants.
func readOnly(program io.ReaderAt) (sections [][]byte, err error) {
	f, err := elf.NewFile(program)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	for _, s := range f.Sections {
		if s.Type != elf.SHT_PROGBITS || s.Flags&elf.SHF_ALLOC == 0 ||
			s.Flags&(elf.SHF_EXECINSTR|elf.SHF_WRITE) != 0 || s.Name != ".rodata" {
			continue
		}
		if s.Size > sectionMax || s.Flags&elf.SHF_COMPRESSED != 0 {
			return nil, fmt.Errorf("%w: a section of %d bytes", ErrMalformed, s.Size)
		}
		b := make([]byte, s.Size)
		if _, err := s.ReadAt(b, 0); err != nil && err != io.EOF {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		sections = append(sections, b)
	}
	return sections, nil
}

// tables finds runs of names that may be the applets', each as long as it goes: sorted words with
// enough of the known ones.
func tables(b []byte) (found [][]string) {
	for at := 0; at < len(b); {
		names, end := run(b, at)
		n := 0
		for _, name := range names {
			if _, ok := known[name]; ok {
				n++
			}
		}
		if n >= knownMin {
			found = append(found, names)
		}
		at = max(end, at+1)
	}
	return found
}

// run reads sorted names from an offset on. It gives the offset behind the last one.
func run(b []byte, at int) (names []string, end int) {
	for len(names) < appletsMax {
		n := bytes.IndexByte(b[at:min(len(b), at+nameMax+1)], 0)
		if n <= 0 || !appletName(b[at:at+n]) {
			break
		}
		name := string(b[at : at+n])
		if len(names) > 0 && names[len(names)-1] >= name {
			break
		}
		names = append(names, name)
		at += n + 1
	}
	return names, at
}

func appletName(b []byte) bool {
	for _, c := range b {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !bytes.ContainsRune([]byte("[-_."), rune(c)) {
			return false
		}
	}
	return true
}

// locate finds the folders of applets in a section: as many numbers of four bits, the lower ones
// first, of which those of the known names are right. nil: they are not there, or in two places.
func locate(names []string, b []byte) []string {
	size := (len(names) + 1) / 2
	place := func(at, i int) byte { return b[at+i/2] >> (4 * (i % 2)) & 0xf }
	var found []string
	for at := 0; at+size <= len(b); at++ {
		right := true
		for i := 0; i < len(names) && right; i++ {
			p := place(at, i)
			want, ok := known[names[i]]
			right = int(p) < len(places) && (!ok || p == want)
		}
		if !right {
			continue
		}
		var paths []string
		for i, name := range names {
			paths = append(paths, places[place(at, i)]+name)
		}
		slices.Sort(paths)
		if found != nil && !slices.Equal(found, paths) {
			return nil
		}
		found = paths
	}
	return found
}
