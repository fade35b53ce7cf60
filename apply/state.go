package apply

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"deltaup/apply/cache"
	"deltaup/chunkstore"
	"deltaup/internal/durable"
)

// state is the folder of one slot below Request.StateDir, locked for this process, and beside it
// the one for [recipes]:
//
//	lock
//	fetch/ID/OFFSET   bytes of the mirror's file ID from OFFSET on, see cache
//	meta/ID           a metadata file of the mirror by its hash
//	rates.json        what the last update learned of the slot's medium, see rates
//	tmp/              files that are being written
type state struct {
	dir   string
	lock  *os.File
	cache *cache.Cache
	kept  recipes
}

// openState makes and locks the folder for the slot of that path ("" for none). ErrBusy
// is wrapped when another process has it.
func openState(base, slot string) (*state, error) {
	if slot != "" {
		abs, err := filepath.Abs(slot)
		if err != nil {
			return nil, err
		}
		slot = abs
	}
	s := &state{dir: filepath.Join(base, folderName(slot))}
	s.kept = recipes{dir: filepath.Join(base, "recipes"), tmp: s.tmp()}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("state folder %s: %w", s.dir, err)
	}
	return s, nil
}

// folderName is unique for a path and tells a person which one it is.
func folderName(path string) string {
	if path == "" {
		return "none"
	}
	readable := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z',
			'A' <= r && r <= 'Z',
			'0' <= r && r <= '9',
			r == '.',
			r == '_',
			r == '-':
			return r
		}
		return '_'
	}, filepath.Base(path))
	if len(readable) > 64 {
		readable = readable[:64]
	}
	return readable + "-" + chunkstore.Sum([]byte(path)).String()[:16]
}

func (s *state) open() error {
	if err := durable.MkdirAll(s.dir); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return ErrBusy
		}
		return fmt.Errorf("lock: %w", err)
	}
	s.lock = lock
	if err := s.prepare(); err != nil {
		lock.Close()
		return err
	}
	return nil
}

func (s *state) prepare() error {
	if err := durable.RemoveTemps(s.tmp()); err != nil {
		return err
	}
	var err error
	s.cache, err = cache.Open(filepath.Join(s.dir, "fetch"))
	return err
}

func (s *state) tmp() string { return filepath.Join(s.dir, "tmp") }

func (s *state) metaPath(id chunkstore.ID) string {
	return filepath.Join(s.dir, "meta", id.String())
}

// free is how many bytes this user can still write to the folder's file system.
func (s *state) free() (int64, error) {
	var sfs unix.Statfs_t
	if err := unix.Statfs(s.dir, &sfs); err != nil {
		return 0, fmt.Errorf("state folder %s: %w", s.dir, err)
	}
	return int64(sfs.Bavail) * int64(sfs.Bsize), nil
}

// prune removes what a finished update leaves: everything fetched, and all metadata but keep.
func (s *state) prune(keep map[chunkstore.ID]bool) error {
	err := s.cache.Clear()
	entries, listErr := os.ReadDir(filepath.Join(s.dir, "meta"))
	if listErr != nil && !errors.Is(listErr, os.ErrNotExist) {
		err = errors.Join(err, listErr)
	}
	for _, e := range entries {
		if id, parseErr := chunkstore.ParseID(e.Name()); parseErr == nil && !keep[id] {
			err = errors.Join(err, os.Remove(s.metaPath(id)))
		}
	}
	return err
}

// close gives the folder free.
func (s *state) close() error { return s.lock.Close() }

// DefaultStateDir is where state lies when nobody says otherwise: /var/lib/deltaup for
// root, else deltaup in $XDG_STATE_HOME or ~/.local/state.
func DefaultStateDir(uid int, getenv func(string) string) (string, error) {
	if uid == 0 {
		return "/var/lib/deltaup", nil
	}
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "deltaup"), nil
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "deltaup"), nil
	}
	return "", errors.New("no state folder: neither XDG_STATE_HOME nor HOME is set")
}
