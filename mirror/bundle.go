package mirror

import (
	"encoding/binary"
	"errors"
	"fmt"

	"deltaup/chunkstore"
)

// MaxBundleSize is how many bytes a bundle has at most, stored or plain, without the block map
// behind it.
const MaxBundleSize = 1 << 20

// maxMembers is how many files a bundle has at most.
const maxMembers = 64

// Layout of a bundle; doc/bundle.md has it in full. Numbers are little-endian.
const (
	bundleMagic   = "DUBNDL\r\n"
	bundleVersion = 1
	bundleHead    = len(bundleMagic) + 4 + 4 + len(chunkstore.ID{}) // bytes before the frame
)

// Bundled is a file of a mirror, or its beginning, in a bundle.
type Bundled struct {
	Name  string // of the file
	Bytes []byte // that it begins with
}

// Bundle is copies of small files that a target which updates asks for one after another: with them
// it asks once. Nothing in it is believed because it is there.
type Bundle []Bundled

// BundlePath is where the bundle of a channel lies that belongs to a version of the signed
// snapshot. The channel must be a [ValidName].
func BundlePath(snapshot int64, channel string) string {
	return fmt.Sprintf("%s/%d.%s.bundle", MetadataDir, snapshot, channel)
}

// Get gives the bytes of a member, nil when there is none of that name.
func (x Bundle) Get(name string) []byte {
	for _, m := range x {
		if m.Name == name {
			return m.Bytes
		}
	}
	return nil
}

// ParseBundle decodes a bundle, whose members share memory. It allocates no more than
// [MaxBundleSize] for them. Errors wrap chunkstore.ErrCorrupt or chunkstore.ErrVersion.
func ParseBundle(b []byte) (Bundle, error) {
	if len(b) < bundleHead || string(b[:len(bundleMagic)]) != bundleMagic {
		return nil, bundleError(errors.New("it does not begin like one"))
	}
	head := b[len(bundleMagic):bundleHead]
	if v := binary.LittleEndian.Uint32(head); v != bundleVersion {
		return nil, fmt.Errorf("bundle: %w: %d, this program knows %d", chunkstore.ErrVersion, v,
			bundleVersion)
	}
	c := chunkstore.Chunk{Size: int64(binary.LittleEndian.Uint32(head[4:]))}
	copy(c.ID[:], head[8:])
	if c.Size > MaxBundleSize {
		return nil, bundleError(fmt.Errorf("members of %d bytes", c.Size))
	}
	plain, err := chunkstore.DecodeFrame(nil, b[bundleHead:], c)
	if err != nil {
		return nil, bundleError(err)
	}
	return parseMembers(plain)
}

// parseMembers takes the plain members apart.
func parseMembers(plain []byte) (x Bundle, err error) {
	field := func() (f []byte) {
		n, used := binary.Uvarint(plain)
		// one encoding alone: no zeros at the end of a number
		if used <= 0 || n > uint64(len(plain)-used) || used > 1 && plain[used-1] == 0 {
			err = bundleError(errors.New("a member is cut off"))
			return nil
		}
		f = plain[used : used+int(n) : used+int(n)]
		plain = plain[used+int(n):]
		return f
	}
	for len(plain) > 0 {
		m := Bundled{Name: string(field()), Bytes: field()}
		switch {
		case err != nil:
			return nil, err
		case len(x) == maxMembers:
			return nil, bundleError(fmt.Errorf("more than %d members", maxMembers))
		case !ValidPath(m.Name) || x.Get(m.Name) != nil:
			return nil, bundleError(fmt.Errorf("a member %.140q, or a second one", m.Name))
		}
		x = append(x, m)
	}
	return x, nil
}

func bundleError(err error) error {
	return fmt.Errorf("bundle: %w: %w", chunkstore.ErrCorrupt, err)
}
