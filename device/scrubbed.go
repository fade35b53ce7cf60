package device

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"deltaup/chunkstore"
	"deltaup/internal/plainfile"
)

// scrubsFormat is the only version of scrub.json that this program knows; the format is in
// doc/scrub.md.
const scrubsFormat = 1

// ScrubResult is what the last scrub of a slot found.
type ScrubResult struct {
	Image    chunkstore.ID `json:"image"`    // that the slot held; zero when that was not known
	Order    int64         `json:"order"`    // of its installation
	Time     time.Time     `json:"time"`     // when it ended, by this machine's clock
	Complete bool          `json:"complete"` // all was read; false when it was ended before
	Damage   []Damage      `json:"damage"`
}

// scrubs is the file scrub.json in the state folder. It is a file of its own so that an older
// program, which knows nothing of it, reads the others.
type scrubs struct {
	Format int                     `json:"format"` // 1
	Slots  map[string]*ScrubResult `json:"slots"`
}

func (d *Device) scrubsPath() string { return filepath.Join(d.state(), "scrub.json") }

// scrubs reads the file; there is none at first.
func (d *Device) scrubs() (*scrubs, error) {
	none := &scrubs{Format: scrubsFormat, Slots: map[string]*ScrubResult{}}
	f, err := plainfile.Open(d.scrubsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	defer f.Close() // read only
	b, err := io.ReadAll(io.LimitReader(f, maxRecords+1))
	if err != nil {
		return none, err
	}
	s, err := parseScrubs(b)
	if err != nil {
		return none, fmt.Errorf("%s: %w", d.scrubsPath(), err)
	}
	return s, nil
}

// parseScrubs decodes scrub.json. It wraps chunkstore.ErrVersion for a later format, and
// chunkstore.ErrCorrupt for anything else that it cannot read.
func parseScrubs(b []byte) (*scrubs, error) {
	if len(b) > maxRecords {
		return nil, fmt.Errorf("%w: longer than %d bytes", chunkstore.ErrCorrupt, maxRecords)
	}
	var s scrubs
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", chunkstore.ErrCorrupt, err)
	}
	if s.Format != scrubsFormat {
		return nil, fmt.Errorf("%w: format %d, this program knows %d", chunkstore.ErrVersion,
			s.Format, scrubsFormat)
	}
	for name, r := range s.Slots {
		if r == nil {
			return nil, fmt.Errorf("%w: slot %q", chunkstore.ErrCorrupt, name)
		}
	}
	return &s, nil
}

// of gives the last scrub of what a slot holds now; nil when there was none.
func (s *scrubs) of(slot string, rec *Record) *ScrubResult {
	r := s.Slots[slot]
	if r == nil || r.Order != rec.Order || !r.Image.IsZero() && r.Image != rec.Image ||
		!rec.Whole && !rec.Image.IsZero() {
		return nil
	}
	return r
}

// damaged tells whether the last scrub of a slot found damage.
func (s *scrubs) damaged(slot string, rec *Record) bool {
	r := s.of(slot, rec)
	return r != nil && len(r.Damage) > 0
}

// keepScrub remembers what a scrub found, durably. It writes a damaged file anew.
func (d *Device) keepScrub(slot string, result *ScrubResult) error {
	unlock, err := d.lockState()
	if err != nil {
		return err
	}
	defer unlock()
	s, err := d.scrubs()
	if errors.Is(err, chunkstore.ErrVersion) {
		return err
	}
	if s.Slots == nil {
		s.Slots = map[string]*ScrubResult{}
	}
	s.Slots[slot] = result
	for name := range s.Slots {
		if d.Config.Slot(name) == nil {
			delete(s.Slots, name)
		}
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return d.replace(d.scrubsPath(), append(b, '\n'))
}

// scrubbed tells what the last scrub of a slot's image found. The doctor has just looked at kernel
// and initrd.
func (x *doctor) scrubbed(slot, booted string) {
	s, err := x.d.scrubs()
	if err != nil {
		x.Unknown("deltaup doctor --scrub", "%v", err)
		return
	}
	rec, err := x.d.record(slot)
	if err != nil {
		return // told already
	}
	result := s.of(slot, &rec)
	if result == nil {
		return
	}
	when := result.Time.Format(time.DateTime)
	bad := false
	for i := range result.Damage {
		damage := &result.Damage[i]
		if damage.What != ScrubImage {
			continue
		}
		bad = true
		advice := "deltaup repair puts release " + rec.Version +
			" into another slot anew, and an update helps as well"
		if slot != booted {
			advice = "deltaup repair, or the next update, writes it anew; until then " +
				"deltaup mark-bad " + slot + " keeps " + x.d.loader.Name() +
				" from falling back to it"
		}
		x.Wrong(advice, "slot %s was damaged on %s: %s%s", slot, when, damage,
			firstOf(damage.Files))
	}
	if !bad && result.Complete {
		x.Good("slot %s was read on %s, all of its image", slot, when)
	}
}

// firstOf names some of what lies in a damage.
func firstOf(files []string) string {
	switch len(files) {
	case 0:
		return ""
	case 1:
		return " (" + files[0] + ")"
	}
	return fmt.Sprintf(" (%s and %d more)", files[0], len(files)-1)
}
