package trust

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// clockSkew is how far behind the publisher's clock a target's may be and still be believed.
const clockSkew = 10 * time.Minute

// judgeBy sets the time by which expiry is judged: what the clock says, but never before the root
// and this timestamp, if any, were signed. Only the newest timestamp counts: none that is older is
// ever taken again, and a publisher whose clock was ahead once sets that right with the next.
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

// expired says since when nobody has vouched for a role.
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

// Warnings tells what of this machine's trust is not proven.
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
	if r.unlearnt != nil {
		all = append(
			all,
			fmt.Sprintf(
				"what is remembered of installed releases could not be held against the list of all releases, and counts as it is: %v",
				r.unlearnt,
			),
		)
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
					m.role,
					day(m.expires),
				),
			)
		}
	}
	return all
}

// readTimes reads from kept metadata when what was trusted last was signed, and when it expires.
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
