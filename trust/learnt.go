package trust

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/chunkstore"
	"deltaup/internal/durable"
)

// learntFile notes under which roots a target has learnt what its state folder holds. What it
// learnt under keys that a root has since replaced does not count (TUF 1.0, 5.3.11). Otherwise a
// thief who once signed the highest number could stop all updates for ever.
//
// It is apart from state.json because an older image, whose program does not know it, must be able
// to go on with the state folder. When the file is missing, damaged or about another record, the
// target learns anew.
const learntFile = "learnt.json"

// learntFormat is the only version of learnt.json that this program knows.
const learntFormat = 1

// learnt is the content of learnt.json. Roots are version numbers; 0 means that the root is not
// known.
type learnt struct {
	Format int `json:"format"` // 1
	// the root under which timestamp and snapshot were kept
	Metadata int64 `json:"metadata_root,omitempty"`
	// the root under which Claims were signed
	Release int64 `json:"release_root,omitempty"`
	// the installed release's; zero when not known
	File chunkstore.ID `json:"release_file"`
	// the record's when this file was written
	Claims claims `json:"claims"`
}

// readLearnt reads learnt.json and drops what does not fit the record.
func (s *state) readLearnt() error {
	b, err := s.read(learntFile, maxRecord)
	if err != nil {
		return err
	}
	s.learnt = parseLearnt(b)
	if s.learnt.Claims != s.record.claims { // an older program has installed a release since
		s.learnt.File = chunkstore.ID{}
		if s.learnt.Release != s.record.Root { // equal: it installed under that same root
			s.learnt.Release = 0
		}
	}
	return nil
}

// parseLearnt decodes learnt.json. Anything else than such a file gives the zero value.
func parseLearnt(b []byte) learnt {
	var l learnt
	if decodeStrict(b, &l) != nil || l.Format != learntFormat || l.Metadata < 0 || l.Release < 0 {
		return learnt{}
	}
	return l
}

// saveLearnt writes learnt.json durably, about the record as it is. Callers save the record first:
// after a crash in between, learnt.json is about another record and does not count.
func (s *state) saveLearnt() error {
	s.learnt.Format, s.learnt.Claims = learntFormat, s.record.claims
	b, err := json.MarshalIndent(&s.learnt, "", "  ")
	if err != nil {
		return err
	}
	return s.write(learntFile, append(b, '\n'))
}

// sameKeys tells whether the roles still have the keys and thresholds of an earlier root, which the
// state folder keeps.
func (r *Repository) sameKeys(root int64, roles ...string) bool {
	b, err := r.state.read(rootName(root), maxRoot)
	if err != nil || b == nil {
		return false
	}
	old, err := metadata.Root().FromBytes(b)
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(roles, func(role string) bool {
		a, b := old.Signed.Roles[role], r.set.Root.Signed.Roles[role]
		return a == nil || b == nil || a.Threshold != b.Threshold ||
			!slices.Equal(slices.Sorted(slices.Values(a.KeyIDs)),
				slices.Sorted(slices.Values(b.KeyIDs)))
	})
}

// forget removes the kept timestamp and snapshot once the publisher has replaced the keys of
// either. It removes both because a thief of both keys may have raised, with one, the version that
// the other is compared with. Where the root under which they were kept is not known, it leaves
// them: their signatures decide later whether they count.
func (r *Repository) forget(context.Context) error {
	l, now := &r.state.learnt, r.set.Root.Signed.Version
	if l.Metadata == now {
		return nil
	}
	if l.Metadata > 0 && !r.sameKeys(l.Metadata, metadata.TIMESTAMP, metadata.SNAPSHOT) {
		for _, name := range []string{timestampFile, snapshotFile} {
			if err := durable.Remove(r.state.path(name)); err != nil {
				return err
			}
		}
	}
	l.Metadata = now
	return r.state.saveLearnt()
}

// relearn compares what the record says of installed releases with what the present keys sign. It
// does so once the publisher has replaced the keys of targets, or when the root under which it was
// learnt is not known. It forgets what the present keys do not sign. While it cannot get the
// catalog it changes nothing, which can only refuse too much, and Warnings says so.
func (r *Repository) relearn(ctx context.Context) error {
	l, rec, now := &r.state.learnt, &r.state.record, r.set.Root.Signed.Version
	if rec.claims == (claims{}) || l.Release == now && l.Claims == rec.claims {
		return nil
	}
	if l.Release == 0 || !r.sameKeys(l.Release, metadata.TARGETS) {
		signed, file, err := r.signedClaims(ctx)
		if ctx.Err() != nil {
			return err
		}
		if r.relearnErr = err; err != nil {
			return nil
		}
		l.File = file
		if rec.claims != signed {
			rec.claims = signed
			if err := r.state.save(); err != nil {
				return err
			}
		}
	}
	l.Release = now
	return r.state.saveLearnt()
}

// signedClaims gives the part of the record that the present keys sign, and the release file of the
// installed release.
func (r *Repository) signedClaims(
	ctx context.Context,
) (signed claims, file chunkstore.ID, err error) {
	rec := &r.state.record
	if rec.Installed != "" {
		rel, err := r.Find(ctx, rec.Installed)
		switch known := r.state.learnt.File; {
		case errors.Is(err, ErrUnknown):
		case err != nil:
			return claims{}, file, err
		case known.IsZero() || known == rel.File.ID:
			file = rel.File.ID
			signed = claims{
				Installed:     rel.Version,
				Serial:        rel.Serial,
				Minimum:       rel.Minimum,
				MinimumSerial: rel.MinimumSerial,
			}
		}
	}
	if rec.Minimum == "" || rec.Minimum == signed.Minimum {
		return signed, file, nil
	}
	asks := func(e SignedRelease) bool { return e.Minimum == rec.Minimum }
	i := slices.IndexFunc(r.releases, asks)
	all := r.releases
	if i < 0 {
		if err := r.readCatalog(ctx); err != nil {
			return claims{}, file, err
		}
		all = r.catalog.Releases
		i = slices.IndexFunc(all, asks)
	}
	if i >= 0 && all[i].MinimumSerial > signed.MinimumSerial {
		signed.Minimum, signed.MinimumSerial = all[i].Minimum, all[i].MinimumSerial
	}
	return signed, file, nil
}
