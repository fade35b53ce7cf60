// Package cpiotest makes small initrds for tests.
package cpiotest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"slices"
)

// Initrd packs files into one cpio archive of the "newc" format, compressed by gzip.
func Initrd(files map[string][]byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for i, name := range slices.Sorted(maps.Keys(files)) {
		z.Write(member(name, i+1, 0o100644, files[name])) // to memory
	}
	z.Write(member("TRAILER!!!", 0, 0, nil))
	z.Close()
	return b.Bytes()
}

// member is a header with name and data, both padded to multiples of 4.
func member(name string, inode, mode int, data []byte) []byte {
	b := fmt.Appendf(nil, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		inode, mode, 0, 0, 1, 1_700_000_000, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	b = append(b, make([]byte, -len(b)&3)...)
	b = append(b, data...)
	return append(b, make([]byte, -len(b)&3)...)
}
