package device

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/internal/durable"
	"deltaup/mirror"
	"deltaup/slotboot/config"
)

// bootFile is the kernel or the initrd of a slot that is being written. Until all of the slot is proved it lies beside its
// name, so that no boot loader finds it.
type bootFile struct {
	artifact *mirror.Artifact
	path     string // where the boot loader looks for it
	kept     bool   // path holds the artifact already
}

func (f *bootFile) hidden() string { return f.path + ".next" }

// bootFiles are both.
type bootFiles []*bootFile

// bootFiles finds out what is to be written for a release, which needs both a kernel and an initrd.
func (d *Device) bootFiles(s *config.Slot, release *mirror.Release) (bootFiles, error) {
	var files bootFiles
	for _, x := range []struct{ name, path string }{{mirror.KernelName, d.kernel(s)}, {mirror.InitrdName, d.initrd(s)}} {
		a := release.Artifact(x.name)
		if a == nil {
			return nil, fmt.Errorf("release %s: %s: %w", release.Version, x.name, apply.ErrNoArtifact)
		}
		f := &bootFile{artifact: a, path: x.path}
		f.kept = f.verify() == nil
		files = append(files, f)
	}
	return files, nil
}

// outputs are the artifacts that package apply is to write, and where to.
func (l bootFiles) outputs() map[string]string {
	m := map[string]string{}
	for _, f := range l {
		if !f.kept {
			m[f.artifact.Name] = f.hidden()
		}
	}
	return m
}

// hide takes the slot's files out of the boot loader's sight, durably: those that are right stay beside their name.
func (l bootFiles) hide() error {
	for _, f := range l {
		var err error
		if f.kept {
			err = durable.Rename(f.path, f.hidden())
		} else {
			err = durable.Remove(f.path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// show gives the files their names.
func (l bootFiles) show() error {
	for _, f := range l {
		if err := durable.Rename(f.hidden(), f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (l bootFiles) verify() error {
	for _, f := range l {
		if err := f.verify(); err != nil {
			return err
		}
	}
	return nil
}

// verify reads the file from the medium. It wraps apply.ErrVerify when it is not the artifact.
func (f *bootFile) verify() error {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close() // read only
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != f.artifact.Size {
		return fmt.Errorf("%s: %w: %d bytes, not %d", f.path, apply.ErrVerify, info.Size(), f.artifact.Size)
	}
	if err := unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("%s: drop cache: %w", f.path, err)
	}
	h := chunkstore.NewHasher()
	if _, err := io.Copy(h, file); err != nil {
		return err
	}
	if h.ID() != f.artifact.ID {
		return fmt.Errorf("%s: %w", f.path, apply.ErrVerify)
	}
	return nil
}
