// Package undo undoes what a command did before it failed. The command notes in a [List] how to
// undo each of its steps, and runs the list on an error.
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

// maxFile bounds how many bytes of a file Keep remembers.
const maxFile = 16 << 20

// List says how to undo the steps of a command. The zero List is empty.
type List struct{ steps []func() error }

// Push adds a function that undoes one step.
func (l *List) Push(step func() error) { l.steps = append(l.steps, step) }

// Run undoes all steps, the last one first. It goes on after errors and joins them.
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

// MkdirAll makes a folder and its missing parents. Run removes those that were missing.
func (l *List) MkdirAll(dir string) error {
	for parent := dir; ; parent = filepath.Dir(parent) {
		_, err := os.Lstat(parent)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		defer l.Push(func() error { return durable.Remove(parent) }) // the list has parents first
	}
	return durable.MkdirAll(dir)
}

// Keep remembers the file at path, or that there is none. Run restores that.
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

// WriteFile writes a file so durably that a boot loader, which replays no journal, finds it. It
// makes missing folders. Run restores what was there before.
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

// file is a file with the content that it shall have.
type file struct {
	path    string
	content []byte
	mode    fs.FileMode
}

// tmp is a folder for temporary files of this file alone. A killed process then leaves nothing
// beside the file that other tools could take for one of theirs.
func (f *file) tmp() string { return f.path + ".new" }

// clear removes what a killed process has left.
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
