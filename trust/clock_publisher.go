//go:build !target

package trust

import (
	"fmt"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// firstDay is earlier than this program. A clock that shows an earlier day was never set.
var firstDay = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// checkClock refuses, with ErrClock, to sign by a clock that contradicts the last signature on the
// mirror. Signatures by a clock that is ahead freeze machines; those by a clock that is behind
// expire at once. When the clock says that every scheduled signature has expired since, it may
// still be right, but the publisher has to say so.
func (p *Publisher) checkClock() error {
	now := p.o.Now().UTC()
	if p.o.AnyClock {
		return nil
	}
	if now.Before(firstDay) {
		return fmt.Errorf("%w: it says %s", ErrClock, day(now))
	}
	what, last := p.signedLast()
	if last.IsZero() {
		return nil
	}
	root := &p.root().Signed
	leap := max(lifetime(root, metadata.TIMESTAMP), lifetime(root, metadata.SNAPSHOT))
	switch {
	case now.Add(clockSkew).Before(last):
		return fmt.Errorf("%w: it says %s, and %s was signed later, on %s", ErrClock, day(now),
			what, day(last))
	case now.After(last.Add(leap)):
		return fmt.Errorf("%w: it says %s, and nothing was signed since %s on %s, for %d days",
			ErrClock, day(now), what, day(last), int(now.Sub(last).Hours()/24))
	}
	return nil
}

// signedLast tells which of root and timestamp was signed later, and when: zero when neither says.
func (p *Publisher) signedLast() (what string, last time.Time) {
	root := &p.root().Signed
	what = fmt.Sprintf("root %d", root.Version)
	last = signedAt(root.UnrecognizedFields, root.Expires)
	t := &p.timestamp.Signed
	if at := signedAt(t.UnrecognizedFields, t.Expires); at.After(last) {
		what, last = fmt.Sprintf("timestamp %d", t.Version), at
	}
	return what, last
}
