package mirror

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
)

// What a bundle has of a release costs everybody who fetches it, whether they use it or not.
const (
	// requestWorth is how many bytes a request is worth on any line. Members that a usual update
	// may not need are no longer.
	requestWorth = 4 << 10
	// bundledHead is the longest head of a set to the image in a bundle: that of an image with some
	// hundred thousand files.
	bundledHead = 256 << 10
	// BundledBlockmap is the longest block map behind a bundle, as much as a request is worth on a
	// quick line.
	BundledBlockmap = 256 << 10
	// besideWhole is up to which size a target fetches a set beside the image whole in one request,
	// so that the head alone spares it none.
	besideWhole = 256 << 10
)

// Marshal encodes a bundle. It reads the result back as a target will.
func (x Bundle) Marshal() ([]byte, error) {
	plain := x.plain()
	if len(plain) == 0 || len(plain) > MaxBundleSize || len(x) > maxMembers {
		return nil, fmt.Errorf("bundle: %d members of %d bytes, at most %d of %d are possible",
			len(x), len(plain), maxMembers, MaxBundleSize)
	}
	b := binary.LittleEndian.AppendUint32([]byte(bundleMagic), bundleVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(plain)))
	id := chunkstore.Sum(plain)
	b = chunkstore.EncodeFrame(append(b, id[:]...), plain)
	if len(b) > MaxBundleSize {
		return nil, fmt.Errorf("bundle of %d bytes, at most %d are possible", len(b), MaxBundleSize)
	}
	back, err := ParseBundle(b)
	if err == nil && !bytes.Equal(back.plain(), plain) {
		err = bundleError(fmt.Errorf("other members"))
	}
	if err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	return b, nil
}

// plain gives the members one after another.
func (x Bundle) plain() (b []byte) {
	for _, m := range x {
		b = binary.AppendUvarint(b, uint64(len(m.Name)))
		b = append(b, m.Name...)
		b = binary.AppendUvarint(b, uint64(len(m.Bytes)))
		b = append(b, m.Bytes...)
	}
	return b
}

// Same tells whether b begins with a bundle that has the same members.
func (x Bundle) Same(b []byte) bool {
	other, err := ParseBundle(b)
	return err == nil && bytes.Equal(other.plain(), x.plain())
}

// BundleRelease gives what a bundle has of the release with that file, and the block map for behind
// it, nil when there is none. What the mirror lacks, or has damaged, is left out. Errors are those
// of the release file, and the context's.
func BundleRelease(ctx context.Context, files Files, version string,
	o Object) (x Bundle, blockmap []byte, err error) {
	name := ReleasePath(version)
	b, err := ReadVerified(ctx, files, name, o, MaxReleaseSize)
	if err != nil {
		return nil, nil, err
	}
	r, err := ParseRelease(b)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	x = append(x, Bundled{name, b})
	x = x.addSet(ctx, files, r.Patches, func(p *Patch) int64 {
		switch {
		case p.Set.Size-p.Head.Size <= requestWorth && p.Set.Size <= bundledHead:
			return p.Set.Size
		case p.Head.Size <= bundledHead:
			return p.Head.Size
		}
		return 0
	})
	for _, a := range r.Beside() {
		x = x.addSet(ctx, files, a.Patches, func(p *Patch) int64 {
			switch {
			case p.Set.Size <= requestWorth:
				return p.Set.Size
			case p.Set.Size > besideWhole && p.Head.Size <= requestWorth:
				return p.Head.Size
			}
			return 0
		})
	}
	if a := r.Artifact(ImageName); a != nil && a.Blockmap != nil &&
		a.Blockmap.Size <= BundledBlockmap {
		blockmap, err = ReadVerified(ctx, files, BlockmapPath(a.Blockmap.ID), *a.Blockmap,
			BundledBlockmap)
		if err != nil {
			blockmap = nil
		}
	}
	return x, blockmap, ctx.Err()
}

// addSet adds the beginning of the newest of some patch sets, as much of it as length says.
func (x Bundle) addSet(ctx context.Context, files Files, patches []Patch,
	length func(*Patch) int64) Bundle {
	if len(patches) == 0 {
		return x
	}
	p := &patches[0]
	n := length(p)
	if n == 0 {
		return x
	}
	b, err := readSetStart(ctx, files, p, n)
	if err != nil {
		return x
	}
	return append(x, Bundled{PatchPath(p.Set.ID), b})
}

// readSetStart reads the first n bytes of a set, at least its head, and verifies them as far as the
// release says what they are.
func readSetStart(ctx context.Context, files Files, p *Patch, n int64) ([]byte, error) {
	name := PatchPath(p.Set.ID)
	f, err := files.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	b := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, f.Size()), b); err != nil {
		return nil, err
	}
	h, err := patchset.ReadHead(b[:p.Head.Size])
	if err != nil {
		return nil, err
	}
	if h.ID != p.Head.ID || n == p.Set.Size && ObjectOf(b) != p.Set {
		return nil, fmt.Errorf("%s: %w: it has another hash", name, chunkstore.ErrCorrupt)
	}
	return b, nil
}
