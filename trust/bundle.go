package trust

import (
	"context"
	"fmt"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/chunkstore"
	"deltaup/mirror"
)

// What the timestamp says of a channel's bundle, which belongs to the snapshot that it names.
const (
	bundleSerial   = "serial"   // of the release that it has
	bundleSize     = "size"     // bytes of the bundle
	bundleBlockmap = "blockmap" // bytes of the block map behind it; absent: there is none
)

// said is that, decoded.
type said struct{ serial, size, blockmap int64 }

// bundleOf reads what the timestamp says of a channel's bundle, nil when that is nothing of use.
func bundleOf(t *metadata.TimestampType, channel string) *said {
	all, _ := t.UnrecognizedFields[bundlesMember].(map[string]any)
	one, _ := all[channel].(map[string]any)
	number := func(name string) int64 {
		switch n := one[name].(type) {
		case float64: // encoding/json reads numbers as float64
			return int64(min(max(n, 0), maxNumber))
		case int:
			return int64(n)
		}
		return 0
	}
	s := &said{number(bundleSerial), number(bundleSize), number(bundleBlockmap)}
	if s.size < 1 || s.size > mirror.MaxBundleSize || s.blockmap > mirror.BundledBlockmap {
		return nil
	}
	return s
}

// fetchBundle fetches the bundle of the channel, unless what is kept already names the release in
// it: then only signatures are new, or another channel's release, and most of the bundle would be
// for nothing. A mirror need not have it, and nothing that is wrong with it is an error.
func (r *Repository) fetchBundle(ctx context.Context) {
	if r.o.Channel == "" {
		return
	}
	s := bundleOf(&r.set.Timestamp.Signed, r.o.Channel)
	if s == nil || s.serial == r.keptSerial() {
		return
	}
	if r.o.Found != nil {
		r.o.Found()
	}
	length := s.size
	if r.o.Blockmap {
		length += s.blockmap
	}
	name := mirror.BundlePath(r.set.Timestamp.Signed.Meta[snapshotName].Version, r.o.Channel)
	b, err := r.o.Client.FetchOnce(ctx, name, length)
	if err != nil {
		return
	}
	if r.bundle, err = mirror.ParseBundle(b[:s.size]); err != nil {
		r.bundleErr = fmt.Errorf("%s: %w", name, err)
	}
	if b = b[s.size:]; len(b) > 0 {
		r.bundle = append(r.bundle, mirror.Bundled{
			Name: mirror.BlockmapPath(chunkstore.Sum(b)), Bytes: b,
		})
	}
}

// keptSerial is the serial of the channel's newest release as the kept targets say, 0 when they say
// nothing.
func (r *Repository) keptSerial() int64 {
	b, err := r.state.read(targetsFile, maxTargets)
	if err != nil || b == nil || sound(b, metadata.TARGETS) != nil {
		return 0
	}
	t, err := metadata.Targets().FromBytes(b)
	if err != nil {
		return 0
	}
	kept := Repository{}
	if kept.releases, _, err = listed(&t.Signed); err != nil {
		return 0
	}
	rel, err := kept.Newest(r.o.Channel)
	if err != nil {
		return 0
	}
	return rel.Serial
}

// Bundled gives what came in one request with the signed metadata of a file of the mirror: its
// beginning, or all of it. Nil when nothing did. It is not verified.
func (r *Repository) Bundled(name string) []byte { return r.bundle.Get(name) }
