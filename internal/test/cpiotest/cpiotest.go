// Package cpiotest makes small initrds for tests.
package cpiotest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"path"
	"slices"
)

// Initrd packs files into one cpio archive of the "newc" format, compressed by gzip.
func Initrd(files map[string][]byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for i, name := range slices.Sorted(maps.Keys(files)) {
		z.Write(member(name, i+1, 0o100644, files[name])) // never fails: it writes to memory
	}
	z.Write(trailer())
	z.Close()
	return b.Bytes()
}

// Root packs files as the root of a kernel: executable, with their folders and a console, not
// compressed.
func Root(files map[string][]byte) []byte {
	folders := []string{"dev"}
	for name := range files {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			folders = append(folders, dir)
		}
	}
	slices.Sort(folders)
	var b []byte
	inode := 0
	add := func(name string, mode int, data []byte) {
		inode++
		b = append(b, member(name, inode, mode, data)...)
	}
	for _, dir := range slices.Compact(folders) {
		add(dir, 0o040755, nil)
	}
	add("dev/console", 0o020600, nil)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		add(name, 0o100755, files[name])
	}
	return append(b, trailer()...)
}

func trailer() []byte { return member("TRAILER!!!", 0, 0, nil) }

// member encodes a header with name and data, both padded to multiples of 4. A device is the
// console, 5:1.
func member(name string, inode, mode int, data []byte) []byte {
	major, minor := 0, 0
	if mode&0o170000 == 0o020000 {
		major, minor = 5, 1
	}
	b := fmt.Appendf(nil, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		inode, mode, 0, 0, 1, 1_700_000_000, len(data), 0, 0, major, minor, len(name)+1, 0, name)
	b = append(b, make([]byte, -len(b)&3)...)
	b = append(b, data...)
	return append(b, make([]byte, -len(b)&3)...)
}
