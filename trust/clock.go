package trust

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// clockSkew is how far two clocks that are right may differ.
const clockSkew = 10 * time.Minute

// judgeBy sets the time by which expiry is judged: what this machine's clock says, but no earlier
// than the root and the newest timestamp, which may be nil, were signed. Older timestamps do not
// count: when the publisher's clock was once ahead, the next timestamp corrects that.
func (r *Repository) judgeBy(newest *metadata.Metadata[metadata.TimestampType]) {
	r.floor = signedAt(r.set.Root.Signed.UnrecognizedFields, r.set.Root.Signed.Expires)
	if newest != nil {
		if at := signedAt(newest.Signed.UnrecognizedFields, newest.Signed.Expires); at.After(
			r.floor,
		) {
			r.floor = at
		}
	}
	ref := r.now
	if r.floor.After(ref) {
		ref = r.floor
	}
	r.set.RefTime = ref.Add(-r.o.Grace)
}

// rootExpired refuses a root that has expired.
func (r *Repository) rootExpired() error {
	if root := &r.set.Root.Signed; root.IsExpired(r.set.RefTime) {
		return fmt.Errorf("the root: %w", r.expired(metadata.ROOT, root.Expires))
	}
	return nil
}

// expired makes the refusal of a role's metadata that expired at a time.
func (r *Repository) expired(role string, at time.Time) error {
	switch now := r.set.RefTime.Add(r.o.Grace); {
	case now.After(r.now):
		return refuse(role, ErrExpired,
			" on %s, and it was %s by the publisher's clock when he signed what was trusted last",
			day(at), day(r.floor))
	case r.o.Grace > 0:
		return refuse(role, ErrExpired,
			" on %s, longer ago than is accepted; by this machine's clock it is %s", day(at),
			day(r.now))
	}
	return refuse(role, ErrExpired, " on %s; by this machine's clock it is %s", day(at), day(r.now))
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// Warnings lists, in sentences for people, what this machine trusts without proof.
func (r *Repository) Warnings() []string {
	var all []string
	if r.now.Add(clockSkew).Before(r.floor) {
		all = append(
			all,
			fmt.Sprintf(
				"freshness is unproven: this machine's clock says %s, and the publisher signed at %s; a mirror that hides newer releases would not be noticed",
				day(r.now),
				day(r.floor),
			),
		)
	}
	if r.relearnErr != nil {
		all = append(
			all,
			fmt.Sprintf(
				"what is remembered of installed releases could not be held against the list of all releases, and counts as it is: %v",
				r.relearnErr,
			),
		)
	}
	if r.bundleErr != nil {
		all = append(all, fmt.Sprintf("what is in it is fetched piece by piece: %v", r.bundleErr))
	}
	ref := r.set.RefTime.Add(r.o.Grace)
	for _, m := range []struct {
		role    string
		expires time.Time
	}{
		{metadata.ROOT, r.set.Root.Signed.Expires},
		{metadata.TIMESTAMP, r.set.Timestamp.Signed.Expires},
		{metadata.SNAPSHOT, r.set.Snapshot.Signed.Expires},
		{metadata.TARGETS, r.set.Targets[metadata.TARGETS].Signed.Expires},
	} {
		if ref.After(m.expires) {
			all = append(
				all,
				fmt.Sprintf(
					"the signed %s expired on %s and is accepted all the same, as was asked for",
					m.role, day(m.expires)),
			)
		}
	}
	return all
}

// readTimes reads from the kept root and timestamp when the later of them was signed, and when the
// timestamp expires. A time that nothing tells is zero.
func readTimes(dir string, root int64) (signed, expires time.Time, err error) {
	s := &state{dir: dir}
	if root > 0 {
		b, err := s.read(rootName(root), maxRoot)
		if err != nil || b == nil {
			return signed, expires, errors.Join(err, os.ErrNotExist)
		}
		m, err := metadata.Root().FromBytes(b)
		if err != nil {
			return signed, expires, err
		}
		signed = signedAt(m.Signed.UnrecognizedFields, m.Signed.Expires)
	}
	b, err := s.read(timestampFile, maxTimestamp)
	if err != nil || b == nil {
		return signed, expires, err
	}
	m, err := metadata.Timestamp().FromBytes(b)
	if err != nil {
		return signed, expires, err
	}
	if at := signedAt(m.Signed.UnrecognizedFields, m.Signed.Expires); at.After(signed) {
		signed = at
	}
	return signed, m.Signed.Expires, nil
}
