package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"deltaup/apply/internal/nospace"
	"deltaup/apply/state"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mirror/client"
	"deltaup/mkimage"
	"deltaup/trust"
)

// metadata reads the small files of a release through the state folder, so that a
// second run asks the mirror for the pointer only.
type metadata struct {
	client  *client.Client
	trust   *trust.Repository    // nil: nothing is verified
	signed  *trust.SignedRelease // what trust says of the release
	state   *state.Folder
	line    delta.Line // as far as it is known: told, or measured while reading
	told    bool       // the rate was told
	toldRTT bool
	limit   float64                // of the rate that the client keeps to; 0: none
	used    map[chunkstore.ID]bool // objects that this release consists of
	bytes   int64                  // fetched since took began to count, for line
	took    time.Duration
	sure    bool // the rate comes from many bytes at once
}

func newMetadata(r Request, s *state.Folder) *metadata {
	m := &metadata{
		client: r.Client,
		trust:  r.Trust,
		state:  s,
		line:   r.Line,
		told:   r.Line.Rate > 0, toldRTT: r.Line.RTT > 0,
		limit: r.RateLimit,
		used:  map[chunkstore.ID]bool{},
	}
	m.line.Rate = m.limited(m.line.Rate)
	m.learnRTT()
	return m
}

// learnRTT takes the round trip that the client has seen, unless one was told.
func (m *metadata) learnRTT() {
	if !m.toldRTT {
		m.line.RTT = m.client.RTT()
	}
}

// limited is what a line of that rate gives under the limit; unknown rates, which are 0, are taken
// for the limit.
func (m *metadata) limited(rate float64) float64 {
	if m.limit > 0 && (rate <= 0 || m.limit < rate) {
		return m.limit
	}
	return rate
}

// release gives the release that r asks for, as the publisher has signed it or, without trust, as
// the mirror says.
func (m *metadata) release(ctx context.Context, channel, version string) (*mirror.Release, error) {
	switch {
	case m.trust != nil:
		return m.signedRelease(ctx, channel, version)
	case version != "":
		return m.client.Release(ctx, version, nil)
	}
	pointer, err := m.client.Pointer(ctx, channel)
	if err != nil {
		return nil, err
	}
	m.learnRTT()
	return m.releaseFile(ctx, pointer.Version, pointer.Release)
}

func (m *metadata) signedRelease(ctx context.Context,
	channel, version string) (*mirror.Release, error) {
	var err error
	if version != "" {
		m.signed, err = m.trust.Find(ctx, version)
	} else {
		m.signed, err = m.trust.Newest(channel)
	}
	if err != nil {
		return nil, err
	}
	if err := m.trust.Permit(m.signed); err != nil {
		return nil, err
	}
	return m.releaseFile(ctx, m.signed.Version, m.signed.File)
}

// before gives the release that a patch set leads from.
func (m *metadata) before(ctx context.Context, p *mirror.Patch) (*mirror.Release, error) {
	switch {
	case p.Release != nil:
		return m.releaseFile(ctx, p.From, *p.Release)
	case m.trust != nil:
		return nil, fmt.Errorf("%s: %w: nothing that is signed names its hash",
			mirror.ReleasePath(p.From), client.ErrMissing)
	}
	return m.client.Release(ctx, p.From, nil)
}

// releaseFile gives a release by its version and hash.
func (m *metadata) releaseFile(ctx context.Context, version string,
	o mirror.Object) (*mirror.Release, error) {
	name := mirror.ReleasePath(version)
	stored, err := m.kept(o, m.bundled(name),
		func() ([]byte, error) { return m.client.ReleaseFile(ctx, version, o) })
	if err != nil {
		return nil, err
	}
	release, err := mirror.ParseRelease(stored)
	if err != nil {
		return nil, published(name, err)
	}
	if release.Version != version {
		return nil, published(name,
			fmt.Errorf("%w: it is of version %s", chunkstore.ErrCorrupt, release.Version))
	}
	return release, nil
}

// object gives a metadata file's bytes, verified.
func (m *metadata) object(ctx context.Context, name string, o mirror.Object,
	limit int64) ([]byte, error) {
	return m.kept(o, m.bundled(name),
		func() ([]byte, error) { return m.client.Fetch(ctx, name, o, limit) })
}

// recipe reads a release's recipe. Outputs alone need it too: the index runs parallel to it.
func (m *metadata) recipe(ctx context.Context, release *mirror.Release) (*mkimage.Recipe, error) {
	image := release.Artifact(mirror.ImageName)
	if image == nil || image.Recipe == nil {
		return &mkimage.Recipe{Chunking: chunkstore.DefaultParams}, nil
	}
	return m.recipeFile(ctx, image.Recipe)
}

func (m *metadata) recipeFile(ctx context.Context, o *mirror.RecipeObject) (*mkimage.Recipe, error) {
	name := mirror.RecipePath(o.ID)
	stored, err := m.object(ctx, name, o.Object, mirror.MaxRecipeSize)
	if err != nil {
		return nil, err
	}
	recipe, err := o.Decode(stored)
	if err != nil {
		return nil, published(name, err)
	}
	return recipe, nil
}

// kept gives an object's bytes as an earlier run kept them, as they came in a bundle, or as fetch
// gives them, and keeps them.
func (m *metadata) kept(o mirror.Object, bundled []byte,
	fetch func() ([]byte, error)) ([]byte, error) {
	m.used[o.ID] = true
	b, err := m.state.Meta(o.ID, o.Size)
	if err == nil {
		return b, nil
	}
	if b = bundled; bundled == nil || mirror.ObjectOf(bundled) != o {
		start := time.Now()
		if b, err = fetch(); err != nil {
			return nil, err
		}
		m.measure(int64(len(b)), time.Since(start))
	}
	if err := m.state.PutMeta(o.ID, b); err != nil {
		return nil, nospace.Mark(fmt.Errorf("state folder: %w", err))
	}
	return b, nil
}

// addTo adds a metadata file to what has to be fetched for an offer.
func (m *metadata) addTo(o *delta.Offer, file mirror.Object) {
	o.MetaRequests++
	if !m.has(file) {
		o.MetaBytes += file.Size
	}
}

// has tells whether an earlier run seems to have kept an object.
func (m *metadata) has(o mirror.Object) bool { return m.state.HasMeta(o.ID, o.Size) }

const (
	// measuredMax is the highest rate, in bytes per second, that a few bytes are believed: 50
	// Mbit/s. They are no ground for fetching tens of times the bytes to save a second.
	measuredMax = 6.25e6
	// measuredSome is how many bytes it takes to tell a rate at all: fewer say more of the server
	// than of the line.
	measuredSome = 64 << 10
	// measuredMany is how many bytes in one piece are believed whatever rate they tell.
	measuredMany = 1 << 20
)

// measure learns the line's rate from n bytes that came in one piece. A mirror on this machine
// tells nothing of a line: it is never believed beyond measuredMax.
func (m *metadata) measure(n int64, took time.Duration) {
	m.learnRTT()
	took = max(took-m.line.RTT, time.Millisecond)
	m.bytes += n
	m.took += took
	if m.told || m.sure || m.bytes < measuredSome {
		return
	}
	rate := min(float64(m.bytes)/m.took.Seconds(), measuredMax)
	if n >= measuredMany && !m.client.Local() {
		rate, m.sure = float64(n)/took.Seconds(), true
	}
	m.line.Rate = m.limited(rate)
}

// spent is how many bytes have been fetched to plan with.
func (m *metadata) spent() int64 { return m.bytes }

// published marks an error in what the publisher wrote: the bytes have the right hash, and are
// wrong all the same.
func published(name string, err error) error {
	if errors.Is(err, chunkstore.ErrVersion) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s: %w: %w", name, mirror.ErrDamaged, err)
}
