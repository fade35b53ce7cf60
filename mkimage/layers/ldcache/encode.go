package ldcache

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// The format, from glibc's sysdeps/generic/dl-cache.h. Numbers are little endian: amd64 and arm64
// are.
//
//	header     48 bytes: magic, number of entries, bytes of strings, flags, offset of extensions
//	entries    24 bytes each: flags, offsets of soname and path, 0, hardware capabilities
//	strings    each with a zero at its end; one that ends like another is part of it
//	extensions from a multiple of 4: magic, count, and for each 16 bytes: tag, flags, offset, size
const (
	magic          = "glibc-ld.so.cache1.1"
	littleEndian   = 2
	headerBytes    = 48
	entryBytes     = 24
	extensionMagic = 0xeaa42174

	tagGenerator = 0 // who wrote it
	tagHwcaps    = 1 // offsets of the names of subfolders of glibc-hwcaps

	hwcapExtension = 1 << 62 // in an entry: bits 32 to 41 are the ISA level, 0 to 31 the subfolder
)

func (b *builder) encode() ([]byte, error) {
	slices.SortStableFunc(b.libs, b.compareLibraries)
	slices.SortFunc(b.result.Links, func(x, y Link) int { return cmp.Compare(x.Path, y.Path) })
	slices.Sort(b.result.Stale)
	text := b.place(headerBytes + entryBytes*len(b.libs))

	var names []string // of subfolders of glibc-hwcaps that have libraries
	for _, l := range b.libs {
		if l.hwcaps != "" {
			names = append(names, l.hwcaps)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)

	le := binary.LittleEndian
	end := headerBytes + entryBytes*len(b.libs) + len(text)
	extensions := (end + 3) &^ 3
	if end > math.MaxInt32 {
		return nil, fmt.Errorf("%w: %d bytes, and the format ends at 2 GiB", ErrConfig, end)
	}
	out := make([]byte, 0, extensions+256)
	out = append(out, magic...)
	out = le.AppendUint32(out, uint32(len(b.libs)))
	out = le.AppendUint32(out, uint32(len(text)))
	out = le.AppendUint32(out, littleEndian)
	out = le.AppendUint32(out, uint32(extensions))
	out = append(out, make([]byte, headerBytes-len(out))...)
	for _, l := range b.libs {
		out = le.AppendUint32(out, l.object.flags)
		out = le.AppendUint32(out, b.strings[l.soname])
		out = le.AppendUint32(out, b.strings[l.path])
		out = le.AppendUint32(out, 0)
		hwcap := l.hwcap
		if l.hwcaps != "" {
			i, _ := slices.BinarySearch(names, l.hwcaps)
			hwcap = hwcapExtension | uint64(l.object.isaLevel)<<32 | uint64(i)
		}
		out = le.AppendUint64(out, hwcap)
	}
	out = append(out, text...)
	out = append(out, make([]byte, extensions-end)...)
	return b.appendExtensions(out, names), nil
}

// appendExtensions writes the directory of extensions, the subfolders' names and the generator.
func (b *builder) appendExtensions(out []byte, names []string) []byte {
	le := binary.LittleEndian
	count := 1
	if len(names) > 0 {
		count = 2
	}
	hwcaps := len(out) + 8 + 16*count
	generator := hwcaps + 4*len(names)
	out = le.AppendUint32(out, extensionMagic)
	out = le.AppendUint32(out, uint32(count))
	section := func(tag, offset, size int) {
		for _, n := range []int{tag, 0, offset, size} {
			out = le.AppendUint32(out, uint32(n))
		}
	}
	section(tagGenerator, generator, len(b.glibc.generator))
	if len(names) > 0 {
		section(tagHwcaps, hwcaps, 4*len(names))
	}
	for _, n := range names {
		out = le.AppendUint32(out, b.strings[n])
	}
	return append(out, b.glibc.generator...)
}

// compareLibraries is the order of entries: the dynamic linker looks by halves for a soname, and
// takes the first entry of it that fits.
func (b *builder) compareLibraries(x, y library) int {
	byPresence := func(has, hasToo bool) int {
		switch {
		case has == hasToo:
			return 0
		case has:
			return -1
		}
		return 1
	}
	return cmp.Or(
		b.compareNames(y.soname, x.soname),
		cmp.Compare(y.object.flags, x.object.flags),
		byPresence(x.hwcaps != "", y.hwcaps != ""),
		strings.Compare(x.hwcaps, y.hwcaps),
		cmp.Compare(bits.OnesCount64(y.hwcap), bits.OnesCount64(x.hwcap)),
		cmp.Compare(y.hwcap, x.hwcap),
	)
}

// place gives all strings their offsets, the first one's being start, and gives their bytes. The
// order is that of the strings read backwards, from last to first, so that one which another ends
// with follows it.
func (b *builder) place(start int) []byte {
	all := make([]string, 0, len(b.strings))
	for s := range b.strings {
		all = append(all, s)
	}
	slices.SortFunc(all, func(x, y string) int {
		for i := 1; i <= min(len(x), len(y)); i++ {
			if c := cmp.Compare(y[len(y)-i], x[len(x)-i]); c != 0 {
				return c
			}
		}
		return cmp.Compare(len(y), len(x))
	})
	var text []byte
	for i, s := range all {
		if i > 0 && strings.HasSuffix(all[i-1], s) {
			b.strings[s] = b.strings[all[i-1]] + uint32(len(all[i-1])-len(s))
			continue
		}
		b.strings[s] = uint32(start + len(text))
		text = append(append(text, s...), 0)
	}
	return text
}
