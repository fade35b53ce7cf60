// Package undo takes back what a command did before it failed. The command notes in a [List] how
// each of its steps is taken back, and on an error runs it.
package undo

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

// maxFile bounds what is remembered of a file, in bytes.
const maxFile = 16 << 20

// List is what takes the steps of a command back. The zero List is empty.
type List struct{ steps []func() error }

// Push adds how one step is taken back.
func (l *List) Push(step func() error) { l.steps = append(l.steps, step) }

// Run takes all steps back, the last first. An error of one does not keep it from the others.
func (l *List) Run() error {
	var all error
	for _, step := range slices.Backward(l.steps) {
		if err := step(); err != nil {
			all = errors.Join(all, fmt.Errorf("take back: %w", err))
		}
	}
	l.steps = nil
	return all
}

// MkdirAll makes a folder with its parents. Run removes those that were missing.
func (l *List) MkdirAll(dir string) error {
	for parent := dir; ; parent = filepath.Dir(parent) {
		_, err := os.Lstat(parent)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		defer l.Push(func() error { return durable.Remove(parent) }) // the parents first
	}
	return durable.MkdirAll(dir)
}

// Keep remembers a file, or that there is none. Run restores it.
func (l *List) Keep(path string) error {
	old, err := plainfile.Read(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		l.Push(func() error { return durable.Remove(path) })
		return nil
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	before := file{path, old, info.Mode().Perm()}
	l.Push(func() error {
		now, err := plainfile.Read(path, maxFile)
		if err == nil && string(now) == string(old) {
			return nil
		}
		return before.replace()
	})
	return nil
}

// WriteFile writes a file so that a boot loader finds it, which replays no journal. Missing folders
// are made. Run restores what was there before.
func (l *List) WriteFile(path string, content []byte, mode fs.FileMode) error {
	f := file{path, content, mode}
	if err := l.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	if err := l.Keep(path); err != nil {
		return err
	}
	l.Push(f.clear)
	if err := f.clear(); err != nil {
		return err
	}
	return f.replace()
}

// file is what a file is to hold.
type file struct {
	path    string
	content []byte
	mode    fs.FileMode
}

// tmp is a folder for this file alone. So a killed process leaves nothing beside the file that
// other tools could take for one of theirs.
func (f *file) tmp() string { return f.path + ".new" }

// clear removes what a killed process left.
func (f *file) clear() error {
	if err := durable.RemoveTemps(f.tmp()); err != nil {
		return err
	}
	return durable.Remove(f.tmp())
}

func (f *file) replace() error {
	t, err := durable.Create(f.tmp())
	if err != nil {
		return err
	}
	defer t.Discard()
	if _, err := t.Write(f.content); err != nil {
		return err
	}
	if err := os.Chmod(t.Name(), f.mode); err != nil {
		return err
	}
	if err := t.Commit(f.path); err != nil {
		return err
	}
	if err := durable.Remove(f.tmp()); err != nil {
		return err
	}
	return durable.SyncFileSystem(filepath.Dir(f.path))
}
