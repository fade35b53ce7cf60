// Package state is the folder in which deltaup keeps on a machine what it knows between updates:
// for each slot what was fetched for it and how quickly it is written, and for all slots the
// recipes of images and how quickly this machine reads seeds. [Open] locks a slot's folder for one
// process.
//
// Nothing in the folder is trusted: whoever uses something of it verifies it. The folder may be
// deleted at any time between updates. doc/pull.md has its layout.
package state

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

// ErrBusy is wrapped when another process has the folder.
var ErrBusy = errors.New("another deltaup is at work here")

// Folder is the folder of one slot, locked for this process:
//
//	lock
//	fetch/ID/OFFSET   bytes of the mirror's file ID from OFFSET on, see cache
//	made              blocks of the new image that were made, see madeblocks
//	meta/ID           a metadata file of the mirror by its hash
//	rates.json        how quickly the slot's medium was written at the last update
//	tmp/              files that are being written
//
// Beside it lie what all slots share: recipes/, see [Recipes], and rates.json of the machine.
type Folder struct {
	Cache   *cache.Cache // what was fetched for this slot
	Recipes Recipes      // of all slots

	dir  string
	lock *os.File
}

// Open makes and locks the folder for the slot of that path ("" for none). ErrBusy is wrapped when
// another process has it.
func Open(base, slot string) (*Folder, error) {
	if slot != "" {
		abs, err := filepath.Abs(slot)
		if err != nil {
			return nil, err
		}
		slot = abs
	}
	f := &Folder{dir: filepath.Join(base, folderName(slot))}
	f.Recipes = Recipes{dir: filepath.Join(base, recipesName), tmp: f.Tmp()}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("state folder %s: %w", f.dir, err)
	}
	return f, nil
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

func (f *Folder) open() error {
	if err := durable.MkdirAll(f.dir); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(f.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
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
	f.lock = lock
	if err := f.prepare(); err != nil {
		lock.Close()
		return err
	}
	return nil
}

// prepare removes what a killed process left, and lists what was fetched.
func (f *Folder) prepare() error {
	if err := durable.RemoveTemps(f.Tmp()); err != nil {
		return err
	}
	var err error
	f.Cache, err = cache.Open(filepath.Join(f.dir, "fetch"))
	return err
}

// Name is how messages call the folder: its path.
func (f *Folder) Name() string { return f.dir }

// Tmp is the folder for temporary files, as durable takes one. What lies there when the folder is
// opened is removed.
func (f *Folder) Tmp() string { return filepath.Join(f.dir, "tmp") }

// Free is how many bytes this user can still write to the folder's file system.
func (f *Folder) Free() (int64, error) {
	var sfs unix.Statfs_t
	if err := unix.Statfs(f.dir, &sfs); err != nil {
		return 0, fmt.Errorf("state folder %s: %w", f.dir, err)
	}
	return int64(sfs.Bavail) * int64(sfs.Bsize), nil
}

// HasRoom tells whether so many bytes more can be written to the folder's file system.
func (f *Folder) HasRoom(bytes int64) (bool, error) {
	free, err := f.Free()
	return bytes <= free, err
}

// MadePath is where the blocks of the new image wait that were made.
func (f *Folder) MadePath() string { return filepath.Join(f.dir, "made") }

// ClearMade removes these blocks.
func (f *Folder) ClearMade() error { return os.RemoveAll(f.MadePath()) }

// Prune removes what a finished update leaves: everything fetched and made, and all metadata but
// keep.
func (f *Folder) Prune(keep map[chunkstore.ID]bool) error {
	return errors.Join(f.Cache.Clear(), f.ClearMade(), f.pruneMeta(keep))
}

// Close unlocks the folder.
func (f *Folder) Close() error { return f.lock.Close() }

// DefaultDir is where state lies when nobody says otherwise: /var/lib/deltaup for root, else
// deltaup in $XDG_STATE_HOME or ~/.local/state.
func DefaultDir(uid int, getenv func(string) string) (string, error) {
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
