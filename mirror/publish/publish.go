// Package publish adds releases to a mirror: [Add] takes an image apart and proves its recipe,
// stores the chunks that the mirror lacks, makes patch sets, and moves a channel's pointer last.
package publish

import (
	"context"
	"errors"
	"fmt"

	"deltaup/delta/patchset"
	"deltaup/mirror"
)

var (
	// ErrExists is wrapped when a version is published again with other bytes.
	ErrExists = errors.New("the version exists with other bytes")
	// ErrSigned is wrapped when a release would be added unsigned to a signed mirror.
	ErrSigned = errors.New("the mirror is signed, and the release would not be")
	// ErrMismatch is wrapped when an image and the recipe beside it do not belong together.
	ErrMismatch = errors.New("image and recipe do not belong together")
)

// defaultPackSize is about how many bytes a pack has, unless a publication says otherwise.
const defaultPackSize = 16 << 20

// RecipeSuffix is added to an image's path to find its recipe.
const RecipeSuffix = ".recipe"

// File is an artifact to publish beside the image. One that has the name of a kind of package
// artifact is taken apart where that can be done; the others are raw.
type File struct {
	Name string // a [ValidName]
	Path string
	Raw  bool // it is published raw, whatever its name
	// Fallback stores an artifact that is built as it was for those, too, whose program cannot build
	// it: as chunks of the file.
	Fallback bool
}

// Publication is what [Add] is to add to a mirror.
type Publication struct {
	Version    string
	Channel    string // whose pointer is moved; "" moves none
	Compatible string
	Image      string // path of an image whose recipe lies beside it; "" when all artifacts are raw
	Artifacts  []File // in the order in which the release lists them
	PackSize   int64  // about how many bytes a new pack has; 0 is defaultPackSize
	// from how many releases before it, followed back from the channel's pointer, patch sets are
	// made
	PatchFrom int
	// Cache, when not nil, has what was made for sets before, and gets what is made.
	Cache patchset.Keeper

	// Seal, when not nil, is called once the release and all that it needs are durable and before
	// the channel's pointer moves, with the mirror locked: it signs the release. After its error
	// nothing has moved.
	Seal func(ctx context.Context, r *mirror.Release) error
	// Unsigned permits a signed mirror although Seal is nil: those who read the mirror unverified
	// get the release.
	Unsigned bool

	NoWait  bool   // refuse with ErrBusy instead of waiting for another publisher
	Waiting func() // called once when waiting for another publisher begins; may be nil

	// Progress, when not nil, is told how far a stage has come, by one goroutine at a time.
	Progress func(Progress)
}

// Stage is a part of publishing that takes time.
type Stage string

// The stages in their order. Not every publication needs all.
const (
	StageHash   Stage = "hash"   // hash the files
	StageVerify Stage = "verify" // read all contents of the image and hold them against the recipe
	StageBuild  Stage = "build"  // build the image again from recipe and contents
	StageStore  Stage = "store"  // store chunks that the mirror lacks

	// Those of each patch set. The second and the third take turns.
	StageSearch   Stage = "search"   // find bases for contents that have no likely one
	StagePatch    Stage = "patch"    // make patches
	StageCompress Stage = "compress" // compress them
	StageProve    Stage = "prove"    // apply the set to the release that it leads from
)

// Result is what [Add] added.
type Result struct {
	Release   *mirror.Release
	Existed   bool  // the version was there with the same bytes; at most the pointer moved
	Moved     bool  // the pointer moved
	Chunks    int   // distinct chunks that the release needs
	NewChunks int   // of them, those that the mirror did not have
	NewPacks  int   // packs added
	NewBytes  int64 // their size

	Patches []PatchStats // newest first, as the release lists them
	// why there is no patch set from a release from which one was wanted, or an initrd is raw, and
	// what makes steps larger than they need be
	Warnings []string
}

// Validate reports what can't be published for its names, without a look at any file.
func (p *Publication) Validate() error {
	if err := mirror.CheckName("version", p.Version); err != nil {
		return err
	}
	if p.PatchFrom < 0 || p.PatchFrom > mirror.MaxPatches {
		return fmt.Errorf("patch sets from %d releases, 0 to %d are possible", p.PatchFrom,
			mirror.MaxPatches)
	}
	if p.Channel != "" {
		if err := mirror.CheckName("channel", p.Channel); err != nil {
			return err
		}
	}
	if !mirror.ValidCompatible(p.Compatible) {
		return fmt.Errorf("%q is no valid compatible string: at most %d printable ASCII characters",
			p.Compatible, mirror.MaxCompatible)
	}
	seen := map[string]bool{}
	if p.Image != "" {
		seen[mirror.ImageName] = true
	}
	for _, a := range p.Artifacts {
		if err := mirror.CheckName("artifact", a.Name); err != nil {
			return err
		}
		if seen[a.Name] {
			return fmt.Errorf("two artifacts named %q", a.Name)
		}
		seen[a.Name] = true
	}
	if len(seen) == 0 || len(seen) > mirror.MaxArtifacts {
		return fmt.Errorf("%d artifacts, 1 to %d are possible", len(seen), mirror.MaxArtifacts)
	}
	return nil
}

// Add adds a release to a mirror, which it makes when nothing is there, and then moves the
// channel's pointer. Everything else is durable before the pointer moves. A run that was cut off at
// any point leaves a valid mirror; the same call then completes it. A version that exists with the
// same bytes is left as it is, and the pointer moves.
//
// Errors wrap ErrSigned, ErrExists, ErrMismatch, those of the mirror ErrNoMirror, ErrBusy,
// ErrDamaged of package mirror, and those of the input chunkstore.ErrCorrupt or
// squashfs.ErrCorrupt.
func Add(ctx context.Context, s mirror.Store, p Publication) (*Result, error) {
	done, err := add(ctx, s, p)
	if err != nil {
		return nil, fmt.Errorf("publish version %s: %w", p.Version, err)
	}
	return done, nil
}

func add(ctx context.Context, s mirror.Store, p Publication) (*Result, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if err := p.admit(ctx, s); err != nil { // before anything is written, be it the lock
		return nil, err
	}
	wait := p.Waiting
	switch {
	case p.NoWait:
		wait = nil
	case wait == nil:
		wait = func() {}
	}
	unlock, err := s.Lock(ctx, wait)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := p.admit(ctx, s); err != nil { // another publisher may have been at work
		return nil, err
	}
	u := &publisher{store: s, p: p}
	if err := s.Recover(ctx); err != nil {
		return nil, fmt.Errorf("take up the mirror: %w", err)
	}
	in, err := u.open(ctx)
	if err != nil {
		return nil, err
	}
	defer in.close()
	release, err := u.existing(ctx, in)
	if err != nil {
		return nil, err
	}
	done := &Result{Release: release, Existed: release != nil, Warnings: in.warnings}
	if release == nil {
		if err := u.add(ctx, in, done); err != nil {
			return nil, err
		}
	}
	if p.Seal != nil {
		if err := p.Seal(ctx, done.Release); err != nil {
			return nil, fmt.Errorf("sign it: %w", err)
		}
	}
	done.Moved, err = u.movePointer(ctx, done.Release)
	return done, err
}

// admit refuses mirrors that this publication is not for.
func (p *Publication) admit(ctx context.Context, s mirror.Store) error {
	what, err := s.Look(ctx)
	if err == nil && what == mirror.Signed && p.Seal == nil && !p.Unsigned {
		err = fmt.Errorf("%s: %w", s, ErrSigned)
	}
	return err
}

// publisher is one run of Add; it holds the mirror's lock.
type publisher struct {
	store mirror.Store
	p     Publication
}

func (u *publisher) progress(s Stage) func(done, total int64) {
	if u.p.Progress == nil {
		return func(done, total int64) {}
	}
	return func(done, total int64) { u.p.Progress(Progress{Stage: s, Done: done, Total: total}) }
}

// movePointer makes r its channel's newest release.
func (u *publisher) movePointer(ctx context.Context, r *mirror.Release) (moved bool, err error) {
	if u.p.Channel == "" {
		return false, nil
	}
	file, err := r.Object()
	if err != nil {
		return false, err
	}
	b, err := mirror.Pointer{Channel: u.p.Channel, Version: r.Version, Release: file}.Marshal()
	if err != nil {
		return false, err
	}
	name := mirror.PointerPath(u.p.Channel)
	old, err := mirror.ReadFile(ctx, u.store, name, mirror.MaxPointerSize)
	if err == nil && string(old) == string(b) {
		return false, nil
	}
	return true, u.store.Write(ctx, name, b)
}
