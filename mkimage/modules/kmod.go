package modules

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"deltaup/mkimage/internal/lookup"
)

// kmod says how the depmod of a tree behaves.
type kmod struct {
	version int
	codecs  map[string]bool // suffixes of packed modules that it reads
}

// newestKmod is the last version whose files are known, with all codecs that it can have.
func newestKmod() kmod {
	return kmod{34, map[string]bool{".xz": true, ".zst": true, ".gz": true}}
}

var (
	kmodVersion = regexp.MustCompile(`kmod version ([0-9]{1,4})[.\n\x00]`)
	kmodCodecs  = regexp.MustCompile(`\+(XZ|ZSTD|ZLIB)\b`)
)

// findKmod finds the tree's kmod.
func findKmod(root *lookup.View) (kmod, error) {
	const programMax = 64 << 20
	for _, name := range []string{"usr/bin/kmod", "bin/kmod", "usr/sbin/kmod", "sbin/kmod"} {
		b, err := root.Read(name, programMax)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return kmod{}, err
		}
		if k, ok := parseKmod(b); ok {
			return k, nil
		}
	}
	return newestKmod(), nil
}

// parseKmod reads what kmod says about itself.
func parseKmod(b []byte) (kmod, bool) {
	m := kmodVersion.FindSubmatch(b)
	if m == nil {
		return kmod{}, false
	}
	k := kmod{codecs: map[string]bool{}}
	k.version, _ = strconv.Atoi(string(m[1])) // only digits
	suffixes := map[string]string{"XZ": ".xz", "ZSTD": ".zst", "ZLIB": ".gz"}
	for _, m := range kmodCodecs.FindAllSubmatch(b, -1) {
		k.codecs[suffixes[string(m[1])]] = true
	}
	return k, true
}

// reads tells whether a file has the name of a module that kmod reads, plain or packed.
func (k kmod) reads(name string) bool {
	if suffix := path.Ext(name); k.codecs[suffix] {
		name = strings.TrimSuffix(name, suffix)
	}
	return len(name) > len(".ko") && strings.HasSuffix(name, ".ko")
}

// sortByHash brings names in the order in which kmod's hash table with so many buckets, a power of
// two, lists them: by bucket, and in a bucket by name.
func sortByHash(names []string, buckets uint32) {
	bucket := make(map[string]uint32, len(names))
	for _, n := range names {
		bucket[n] = superFast(n) & (buckets - 1)
	}
	slices.SortFunc(names, func(a, b string) int {
		if x, y := bucket[a], bucket[b]; x != y {
			return int(x) - int(y)
		}
		return strings.Compare(a, b)
	})
}

// superFast is Paul Hsieh's hash of that name, of ASCII.
func superFast(s string) uint32 {
	pair := func(i int) uint32 { return uint32(s[i]) | uint32(s[i+1])<<8 }
	h := uint32(len(s))
	i := 0
	for ; i+4 <= len(s); i += 4 {
		h += pair(i)
		h = h<<16 ^ (pair(i+2)<<11 ^ h)
		h += h >> 11
	}
	switch len(s) - i {
	case 3:
		h += pair(i)
		h ^= h << 16
		h ^= uint32(s[i+2]) << 18
		h += h >> 11
	case 2:
		h += pair(i)
		h ^= h << 11
		h += h >> 17
	case 1:
		h += uint32(s[i])
		h ^= h << 10
		h += h >> 1
	}
	h ^= h << 3
	h += h >> 5
	h ^= h << 4
	h += h >> 17
	h ^= h << 25
	return h + h>>6
}
