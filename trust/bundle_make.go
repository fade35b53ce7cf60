//go:build !target

package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"deltaup/mirror"
)

// maxBundles is how many channels have a bundle: everybody who polls reads what the timestamp says
// of each.
const maxBundles = 16

// maxBundleFile is how many bytes a bundle has at most with the block map behind it.
const maxBundleFile = mirror.MaxBundleSize + mirror.BundledBlockmap

// bundles writes the bundle of each channel, unless it is there, and gives what the timestamp says
// of them. Readers do without one that cannot be made, because the mirror lacks or has damaged what
// belongs into it, as they do without those of channels beyond maxBundles.
func (p *Publisher) bundles(ctx context.Context) (map[string]any, error) {
	releases, _, err := listed(&p.targets.Signed)
	if err != nil {
		return nil, err
	}
	newest := map[string]*SignedRelease{}
	for i := range releases {
		for _, c := range releases[i].Channels {
			newest[c] = &releases[i]
		}
	}
	all := map[string]any{}
	for _, channel := range slices.Sorted(maps.Keys(newest)) {
		if len(all) == maxBundles {
			break
		}
		said, err := p.bundle(ctx, channel, newest[channel])
		if err != nil {
			return nil, err
		}
		if said != nil {
			all[channel] = said
		}
	}
	return all, nil
}

// bundle writes one channel's bundle and gives what the timestamp says of it, nil when it cannot be
// made.
func (p *Publisher) bundle(ctx context.Context, channel string, r *SignedRelease) (any, error) {
	members, blockmap, err := mirror.BundleRelease(ctx, p.o.Mirror, r.Version, r.File)
	if err != nil {
		return nil, ctx.Err()
	}
	members = slices.Concat(p.files, members)
	name := mirror.BundlePath(p.snapshot.Signed.Version, channel)
	old, err := mirror.ReadFile(ctx, p.o.Mirror, name, maxBundleFile)
	size := len(old) - len(blockmap)
	if err != nil || size < 0 || !members.Same(old[:size]) || !bytes.Equal(old[size:], blockmap) {
		b, err := members.Marshal()
		if err != nil {
			return nil, nil
		}
		size = len(b)
		if err := p.o.Mirror.Write(ctx, name, append(b, blockmap...)); err != nil {
			return nil, err
		}
	}
	said := map[string]any{bundleSerial: r.Serial, bundleSize: size}
	if len(blockmap) > 0 {
		said[bundleBlockmap] = len(blockmap)
	}
	return said, nil
}

// checkBundles holds the bundles that the timestamp names against what is on the mirror.
func (p *Publisher) checkBundles(ctx context.Context) error {
	releases, _, err := listed(&p.targets.Signed)
	if err != nil {
		return err
	}
	for i := range releases {
		for _, channel := range releases[i].Channels {
			name := mirror.BundlePath(p.snapshot.Signed.Version, channel)
			if err := p.checkBundle(ctx, name, channel, &releases[i]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// checkBundle verifies one bundle, if the timestamp names one of the channel. But for the
// release it may lack members that this program would put into it, or have others: each has to be
// what the mirror has.
func (p *Publisher) checkBundle(ctx context.Context, name, channel string, r *SignedRelease) error {
	said := bundleOf(&p.timestamp.Signed, channel)
	if said == nil {
		return nil
	}
	b, err := mirror.ReadFile(ctx, p.o.Mirror, name, maxBundleFile)
	if err != nil {
		return err
	}
	if int64(len(b)) != said.size+said.blockmap || said.serial != r.Serial {
		return fmt.Errorf("%w: it has %d bytes, or is of another release than the newest", ErrMixed,
			len(b))
	}
	members, err := mirror.ParseBundle(b[:said.size])
	if err != nil {
		return err
	}
	if release := mirror.ReleasePath(r.Version); members.Get(release) == nil {
		return fmt.Errorf("%w: it lacks %s", ErrMixed, release)
	}
	for _, m := range members {
		if err := p.sameStart(ctx, m); err != nil {
			return err
		}
	}
	_, blockmap, err := mirror.BundleRelease(ctx, p.o.Mirror, r.Version, r.File)
	if errors.Is(err, fs.ErrNotExist) { // it was removed from the mirror
		return nil
	}
	if err == nil && said.blockmap > 0 && !bytes.Equal(blockmap, b[said.size:]) {
		err = fmt.Errorf("%w: the block map behind it", ErrMixed)
	}
	return err
}

// sameStart demands that a file of the mirror, when it is there, begins with what a bundle has of
// it.
func (p *Publisher) sameStart(ctx context.Context, m mirror.Bundled) error {
	f, err := p.o.Mirror.Open(ctx, m.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // which is told of the file
	}
	if err != nil {
		return err
	}
	defer f.Close() // read only
	b := make([]byte, min(f.Size(), int64(len(m.Bytes))))
	if _, err := f.ReadAt(b, 0); err != nil && len(b) > 0 {
		return err
	}
	if !bytes.Equal(b, m.Bytes) {
		return fmt.Errorf("%w: the mirror has another %s", ErrMixed, m.Name)
	}
	return nil
}
