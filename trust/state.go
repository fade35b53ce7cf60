package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
	"deltaup/internal/plainfile"
)

// stateDir is the folder below a target's state folder that holds what it trusts:
//
//	lock
//	N.root.json                                   every root that was followed
//	timestamp.json, snapshot.json, targets.json   the newest that were trusted
//	state.json                                    record
//	learnt.json                                   learnt: under which roots
//	tmp/                                          files that are being written
const stateDir = "trust"

// recordFormat is the only version of state.json that this program knows.
const recordFormat = 1

const maxRecord = 64 << 10 // bytes

// record is what a target remembers besides signed metadata.
type record struct {
	Format int   `json:"format"`         // 1
	Root   int64 `json:"root,omitempty"` // version of the newest root; 0: none
	claims
	// Insecure is when a release was last pulled without verification.
	Insecure *time.Time `json:"insecure,omitempty"`
}

// claims is what a target remembers of the releases that it installed, as they were signed then.
// Serials may exceed maxNumber: earlier versions of this program knew no bound.
type claims struct {
	// version of the release that was installed last
	Installed string `json:"installed,omitempty"`
	Serial    int64  `json:"installed_serial,omitempty"`
	// the highest that an installed release demanded
	MinimumSerial int64  `json:"minimum_serial,omitempty"`
	Minimum       string `json:"minimum,omitempty"` // the version with that serial
}

// state is the open folder. One goroutine uses it.
type state struct {
	dir    string
	record record
	learnt learnt
}

// openState makes the folder and reads its record.
func openState(base string) (*state, error) {
	s := &state{dir: filepath.Join(base, stateDir)}
	if err := durable.MkdirAll(s.dir); err != nil {
		return nil, err
	}
	return s, s.load()
}

// load reads state.json and learnt.json anew, since another process may have changed them.
func (s *state) load() error {
	r, err := readRecord(s.dir)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path(recordFile), err)
	}
	s.record = *r
	return s.readLearnt()
}

const recordFile = "state.json"

func readRecord(dir string) (*record, error) {
	b, err := plainfile.Read(filepath.Join(dir, recordFile), maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return &record{Format: recordFormat}, nil
	}
	if err != nil {
		return nil, err
	}
	return parseRecord(b)
}

func parseRecord(b []byte) (*record, error) {
	var r record
	if err := decodeStrict(b, &r); err != nil {
		return nil, err
	}
	if r.Format != recordFormat || r.Root < 0 || r.Serial < 0 || r.MinimumSerial < 0 {
		return nil, fmt.Errorf("format %d with root %d is none that this program writes", r.Format,
			r.Root)
	}
	return &r, nil
}

// save writes the record durably.
func (s *state) save() error {
	b, err := json.MarshalIndent(&s.record, "", "  ")
	if err != nil {
		return err
	}
	return s.write(recordFile, append(b, '\n'))
}

func (s *state) path(name string) string { return filepath.Join(s.dir, name) }

func (s *state) tmp() string { return filepath.Join(s.dir, "tmp") }

func (s *state) write(name string, b []byte) error { return writeFile(s.tmp(), s.path(name), b) }

// read gives the bytes of a kept file, or nil when there is none.
func (s *state) read(name string, limit int64) ([]byte, error) {
	b, err := plainfile.Read(s.path(name), limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

func rootName(version int64) string { return fmt.Sprintf("%d.root.json", version) }

// lock waits for other processes and keeps them from the folder until unlock. Each holds the lock
// only while it reads and writes a few small files.
func (s *state) lock() (unlock func(), err error) {
	f, err := os.OpenFile(s.path("lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err == nil {
		err = durable.RemoveTemps(s.tmp())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", s.dir, err)
	}
	return func() { f.Close() }, nil
}

// change loads the record and learnt, has fn change them, and saves both, all under the lock.
func (s *state) change(fn func(*record, *learnt)) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.load(); err != nil {
		return err
	}
	fn(&s.record, &s.learnt)
	if err := s.save(); err != nil {
		return err
	}
	return s.saveLearnt()
}

// MarkInsecure notes in a target's state folder, base, that a release is pulled without
// verification.
func MarkInsecure(base string, now time.Time) error {
	s, err := openState(base)
	if err == nil {
		now = now.UTC().Truncate(time.Second)
		err = s.change(func(r *record, _ *learnt) { r.Insecure = &now })
	}
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	return nil
}

// Status is what a target's state folder says about trust.
type Status struct {
	Root int64 `json:"root"` // version of the trusted root; 0: none
	// when the root or the timestamp was signed, whichever is later
	Signed    *time.Time `json:"signed,omitempty"`
	Expires   *time.Time `json:"expires,omitempty"`   // when the newest timestamp expires
	Installed string     `json:"installed,omitempty"` // the version that was installed last
	Minimum   string     `json:"minimum,omitempty"`   // the oldest version that may be installed
	// when a release was last pulled without verification; nil: never
	Insecure *time.Time `json:"insecure,omitempty"`
}

// ReadStatus reads what a target's state folder says about trust. It changes nothing. A missing
// folder counts as empty.
func ReadStatus(base string) (Status, error) {
	dir := filepath.Join(base, stateDir)
	r, err := readRecord(dir)
	if err != nil {
		return Status{}, fmt.Errorf("%s: %w", filepath.Join(dir, recordFile), err)
	}
	s := Status{Root: r.Root, Installed: r.Installed, Minimum: r.Minimum, Insecure: r.Insecure}
	signed, expires, err := readTimes(dir, r.Root)
	if err != nil {
		return Status{}, fmt.Errorf("%s: %w", dir, err)
	}
	if !signed.IsZero() {
		s.Signed = &signed
	}
	if !expires.IsZero() {
		s.Expires = &expires
	}
	return s, nil
}

// writeFile replaces a file durably, by way of a temporary file in the folder tmp.
func writeFile(tmp, path string, b []byte) error {
	return durable.WriteFile(tmp, path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}
