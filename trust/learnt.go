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

// learntFile tells under which roots a target has learnt what its state folder holds. What was
// learnt under keys that a root has replaced does not count (TUF 1.0, 5.3.11): else a thief who
// signs the highest of all numbers would rule the machine for ever after.
//
// It is a file of its own, which earlier versions of this program neither read nor write: an older
// image must go on with the state folder. What is missing, damaged or about another record is not
// known, and is learnt anew.
const learntFile = "learnt.json"

// learntFormat is the only version of learnt.json that this program knows.
const learntFormat = 1

// learnt is the content of learnt.json. Roots are version numbers; 0 is one that is not known.
type learnt struct {
	Format   int           `json:"format"`                  // 1
	Metadata int64         `json:"metadata_root,omitempty"` // under which timestamp and snapshot were kept
	Release  int64         `json:"release_root,omitempty"`  // under which Claims were signed
	File     chunkstore.ID `json:"release_file"`            // of the installed release; zero when it is not known
	Claims   claims        `json:"claims"`                  // what the record had when this was written
}

// readLearnt reads the file beside the record.
func (s *state) readLearnt() error {
	b, err := s.read(learntFile, maxRecord)
	if err != nil {
		return err
	}
	s.learnt = parseLearnt(b)
	if s.learnt.Claims != s.record.claims { // another program has installed something
		s.learnt.File = chunkstore.ID{}
		if s.learnt.Release != s.record.Root { // else it had that root, too
			s.learnt.Release = 0
		}
	}
	return nil
}

// parseLearnt decodes the file; what is no such file is one that knows nothing.
func parseLearnt(b []byte) learnt {
	var l learnt
	if decodeStrict(b, &l) != nil || l.Format != learntFormat || l.Metadata < 0 || l.Release < 0 {
		return learnt{}
	}
	return l
}

// saveLearnt makes the file durable, about the record as it is. The record is saved before: a crash
// in between makes the file one about another record.
func (s *state) saveLearnt() error {
	s.learnt.Format, s.learnt.Claims = learntFormat, s.record.claims
	b, err := json.MarshalIndent(&s.learnt, "", "  ")
	if err != nil {
		return err
	}
	return s.write(learntFile, append(b, '\n'))
}

// sameKeys tells whether roles have the keys and thresholds that they had under an earlier root
// that was kept.
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

// forget removes the kept timestamp and snapshot once the keys of either were replaced: a thief of
// both may have used one to push on what the other is held against. Where it is not known under
// which root they were kept, their signatures decide.
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

// relearn holds what is remembered of installed releases against what the present keys sign, once
// the keys of targets were replaced or it is not known under which it was learnt. What they do not
// sign is forgotten. While the catalog cannot be had all stays as it is, which can only refuse too
// much, and Warnings tells so.
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
		if r.unlearnt = err; err != nil {
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

// signedClaims is what the present keys sign of the record, and the file of the installed release.
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
	asks := func(e Release) bool { return e.Minimum == rec.Minimum }
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
