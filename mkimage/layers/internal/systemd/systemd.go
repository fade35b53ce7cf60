// Package systemd has what systemd's programs that compile text files to databases share: which
// files they read, what they take for a line, and how they store strings.
package systemd

import (
	"bytes"
	"errors"
	"path"
	"slices"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/tree"
)

// fileMax bounds one text file, in bytes. The largest, of all PCI devices, has 4 MB.
const fileMax = 64 << 20

// File is a text file.
type File struct {
	Path string // with a leading slash, without symbolic links in its folder
	Text []byte
	Err  error // why it could not be read
}

// Files reads the files with a suffix in several folders, in the order of their names. Of files
// with the same name that in the earliest folder counts. A link to /dev/null is an empty file, with
// which an administrator hides that in a later folder.
func Files(root *lookup.View, suffix string, folders ...string) []File {
	var files []File
	found := map[string]bool{}
	for _, folder := range folders {
		e := root.Stat(folder)
		if e == nil {
			continue
		}
		for _, name := range root.Names(folder) {
			if !strings.HasSuffix(name, suffix) || found[name] {
				continue
			}
			found[name] = true
			f := File{Path: "/" + e.Path + "/" + name}
			if in := root.Lstat(f.Path); in.Type != tree.Symlink || in.Target != "/dev/null" {
				f.Text, f.Err = root.Read(f.Path, fileMax)
			}
			files = append(files, f)
		}
	}
	slices.SortFunc(files, func(a, b File) int {
		return strings.Compare(path.Base(a.Path), path.Base(b.Path))
	})
	return files
}

// lineMax bounds a line, in bytes, as systemd's LONG_LINE_MAX does.
const lineMax = 1 << 20

// errLine is wrapped by the error about a line that is too long.
var errLine = errors.New("a line has a megabyte or more")

// Line takes the first line off a text. It ends with a newline, a carriage return, a zero, or
// several different ones of these in this order but for the first two, which may be swapped. ok is
// false at the end of the text.
func Line(text []byte) (line string, rest []byte, ok bool, err error) {
	if len(text) == 0 {
		return "", nil, false, nil
	}
	n := bytes.IndexAny(text, "\n\r\x00")
	if n < 0 {
		n = len(text)
	}
	if n >= lineMax {
		return "", nil, false, errLine
	}
	end := n
	for seen := ""; end < len(text); end++ {
		c := text[end]
		if c != '\n' && c != '\r' && c != 0 || strings.IndexByte(seen, c) >= 0 || strings.IndexByte(seen, 0) >= 0 {
			break
		}
		seen += string(rune(c))
	}
	return string(text[:n]), text[end:], true, nil
}
