package device

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"deltaup/internal/durable"
	"deltaup/internal/plainfile"
)

// maxScript bounds what is remembered of a file that is replaced.
const maxScript = 16 << 20

// undo takes back what a command did before it failed, the last first.
type undo struct{ steps []func() error }

func (u *undo) push(step func() error) { u.steps = append(u.steps, step) }

// run goes on behind errors: what can be taken back is.
func (u *undo) run() error {
	var all error
	for _, step := range slices.Backward(u.steps) {
		if err := step(); err != nil {
			all = errors.Join(all, fmt.Errorf("take back: %w", err))
		}
	}
	u.steps = nil
	return all
}

// mkdirAll makes a folder with its parents, and takes back those that were missing.
func (u *undo) mkdirAll(dir string) error {
	for parent := dir; ; parent = filepath.Dir(parent) {
		_, err := os.Lstat(parent)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		defer u.push(func() error { return durable.Remove(parent) }) // the parents first
	}
	return durable.MkdirAll(dir)
}

// keep has a file be as it is now, or not be there, when all is taken back.
func (u *undo) keep(path string) error {
	old, err := plainfile.Read(path, maxScript)
	if errors.Is(err, fs.ErrNotExist) {
		u.push(func() error { return durable.Remove(path) })
		return nil
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	s := script{path, old, info.Mode().Perm()}
	u.push(func() error {
		now, err := plainfile.Read(path, maxScript)
		if err == nil && string(now) == string(old) {
			return nil
		}
		return s.replace()
	})
	return nil
}

// script is a file for GRUB.
type script struct {
	file string
	text []byte
	mode os.FileMode
}

// newScript refuses a file that lies where something else is.
func newScript(file string, text []byte, mode os.FileMode) (*script, error) {
	info, err := os.Lstat(file)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: %w: it is no file", file, ErrOutput)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return &script{file, text, mode}, nil
}

// tmp is a folder of the script's own, so that a killed process leaves nothing that GRUB's tools
// could take for a script.
func (s *script) tmp() string { return s.file + ".new" }

// write writes the script so that GRUB, which replays no journal, finds it.
func (s *script) write(u *undo) error {
	if err := u.mkdirAll(filepath.Dir(s.file)); err != nil {
		return err
	}
	if err := u.keep(s.file); err != nil {
		return err
	}
	u.push(s.clear)
	if err := s.clear(); err != nil {
		return err
	}
	return s.replace()
}

// clear removes what a killed process left.
func (s *script) clear() error {
	if err := durable.RemoveTemps(s.tmp()); err != nil {
		return err
	}
	return durable.Remove(s.tmp())
}

func (s *script) replace() error {
	f, err := durable.Create(s.tmp())
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(s.text); err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), s.mode); err != nil {
		return err
	}
	if err := f.Commit(s.file); err != nil {
		return err
	}
	if err := durable.Remove(s.tmp()); err != nil {
		return err
	}
	return durable.SyncFileSystem(filepath.Dir(s.file))
}
