package device

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"deltaup/chunkstore"
	"deltaup/internal/durable"
	"deltaup/internal/plainfile"
	"deltaup/internal/undo"
)

// recordsFormat is the only version of slots.json that this program knows; the format is in
// doc/slots.md.
const recordsFormat = 1

const (
	maxRecords  = 1 << 20 // bytes of slots.json
	maxFailures = 16      // that are remembered
	maxReason   = 500     // bytes
	maxConsole  = 20      // lines
)

// Record is what is known of a slot.
type Record struct {
	Version string        `json:"version"` // of the release that it holds or is to hold
	Image   chunkstore.ID `json:"image"`   // of that release
	Size    int64         `json:"size"`    // bytes of the image
	// Order grows with each installation: clocks of machines are not to be trusted.
	Order     int64     `json:"order"`
	Installed time.Time `json:"installed"` // by this machine's clock
	Whole     bool      `json:"whole"`     // it was read back and activated, and is not written now
	Pinned    bool      `json:"pinned"`    // it is not overwritten

	// What the boot folder is to hold; zero when it is not known.
	KernelID chunkstore.ID `json:"kernel_id"`
	InitrdID chunkstore.ID `json:"initrd_id"` // as it was made on this machine
}

// Failure is a release that did not stay.
type Failure struct {
	Image   chunkstore.ID `json:"image"`
	Version string        `json:"version"`
	Slot    string        `json:"slot"`
	Time    time.Time     `json:"time"`
	Reason  string        `json:"reason"`            // the failed check, or what the boot loader saw
	Console []string      `json:"console,omitempty"` // the last lines before the machine restarted
}

// records is the file slots.json in the state folder.
type records struct {
	Format int                `json:"format"` // 1
	Order  int64              `json:"order"`  // of the newest installation
	Slots  map[string]*Record `json:"slots"`
	Failed []Failure          `json:"failed"` // the newest last
}

// slot is the record of a slot, empty when there is none yet.
func (r *records) slot(name string) *Record {
	if r.Slots[name] == nil {
		r.Slots[name] = &Record{}
	}
	return r.Slots[name]
}

// failure is what is remembered of an image; nil when it never failed.
func (r *records) failure(image chunkstore.ID) *Failure {
	for i := range r.Failed {
		if r.Failed[i].Image == image {
			return &r.Failed[i]
		}
	}
	return nil
}

// fail remembers that the image in a slot did not stay. An image that failed before keeps its first
// reason: that is what people look for.
func (r *records) fail(slot, reason string, console []string) {
	rec := r.slot(slot)
	if rec.Image.IsZero() || r.failure(rec.Image) != nil {
		return
	}
	r.Failed = append(r.Failed, Failure{
		Image:   rec.Image,
		Version: rec.Version,
		Slot:    slot,
		Time:    time.Now().UTC().Truncate(time.Second),
		Reason:  cutReason(reason),
		Console: console,
	})
	r.Failed = r.Failed[max(0, len(r.Failed)-maxFailures):]
}

// cutReason gives what is remembered of a reason, and cuts no character. JSON has other bytes in
// the place of what is not UTF-8: with them a reason that is read back would be too long.
func cutReason(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	return strings.ToValidUTF8(s[:min(len(s), maxReason)], "")
}

// forgive forgets that the slot's image failed.
func (r *records) forgive(slot string) {
	image := r.slot(slot).Image
	r.Failed = slices.DeleteFunc(r.Failed, func(f Failure) bool { return f.Image == image })
}

func (d *Device) recordsPath() string { return filepath.Join(d.state(), "slots.json") }

// records reads the file; there is none at first.
func (d *Device) records() (*records, error) {
	f, err := plainfile.Open(d.recordsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return &records{Format: recordsFormat, Slots: map[string]*Record{}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	b, err := io.ReadAll(io.LimitReader(f, maxRecords+1))
	if err != nil {
		return nil, err
	}
	r, err := parseRecords(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.recordsPath(), err)
	}
	return r, nil
}

// parseRecords decodes slots.json. It wraps chunkstore.ErrVersion for a later format, and
// chunkstore.ErrCorrupt for anything else that it cannot read.
func parseRecords(b []byte) (*records, error) {
	var head struct {
		Format int `json:"format"`
	}
	if len(b) > maxRecords {
		return nil, fmt.Errorf("%w: longer than %d bytes", chunkstore.ErrCorrupt, maxRecords)
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("%w: %w", chunkstore.ErrCorrupt, err)
	}
	if head.Format != recordsFormat {
		return nil, fmt.Errorf("%w: format %d, this program knows %d", chunkstore.ErrVersion,
			head.Format, recordsFormat)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var r records
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: %w", chunkstore.ErrCorrupt, err)
	}
	if r.Slots == nil {
		r.Slots = map[string]*Record{}
	}
	for name, rec := range r.Slots {
		if rec == nil || rec.Size < 0 || rec.Order < 0 || rec.Order > r.Order {
			return nil, fmt.Errorf("%w: slot %q", chunkstore.ErrCorrupt, name)
		}
	}
	return &r, nil
}

// changeRecords applies fn to the records and writes them durably. Others wait meanwhile; the lock
// is never held for long.
func (d *Device) changeRecords(fn func(*records) error) error {
	unlock, err := d.lockState()
	if err != nil {
		return err
	}
	defer unlock()
	r, err := d.records()
	if err != nil {
		return err
	}
	before, err := r.marshal()
	if err != nil {
		return err
	}
	if err := fn(r); err != nil {
		return err
	}
	after, err := r.marshal()
	if err != nil || bytes.Equal(before, after) {
		return err
	}
	return d.replace(d.recordsPath(), after)
}

// lockState locks the files of the state folder, which is made if it is missing, for the moment of
// a change.
func (d *Device) lockState() (unlock func(), err error) {
	if err := durable.MkdirAll(d.state()); err != nil {
		return nil, err
	}
	return lock(filepath.Join(d.state(), "slots.lock"), unix.LOCK_EX)
}

// replace writes a file of the state folder anew, durably, and removes what killed processes left.
// The caller has locked the state.
func (d *Device) replace(path string, b []byte) error {
	tmp := filepath.Join(d.state(), "tmp")
	if err := durable.RemoveTemps(tmp); err != nil {
		return err
	}
	return durable.WriteFile(tmp, path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

func (r *records) marshal() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	return append(b, '\n'), err
}

// lockUpdates keeps other updates out until unlock is called or the process ends.
func (d *Device) lockUpdates() (unlock func(), err error) {
	if err := durable.MkdirAll(d.state()); err != nil {
		return nil, err
	}
	unlock, err = lock(filepath.Join(d.state(), "update.lock"), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrBusy
	}
	return unlock, err
}

// lock locks a file, and makes it if it is missing.
func lock(path string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if err == nil {
			return func() { f.Close() }, nil // nothing was written to it
		}
		if !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}

// guardRecords remembers slots.json and what lies beside it, for when all is taken back.
func (d *Device) guardRecords(u *undo.List) error {
	if err := u.MkdirAll(d.state()); err != nil {
		return err
	}
	for _, path := range []string{filepath.Join(d.state(), "slots.lock"), d.recordsPath()} {
		if err := u.Keep(path); err != nil {
			return err
		}
	}
	return u.MkdirAll(filepath.Join(d.state(), "tmp"))
}
