package device

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/internal/durable"
	"deltaup/internal/medium"
	"deltaup/internal/plainfile"
	"deltaup/mirror"
	"deltaup/slotboot/config"
)

// bootFile is the kernel or the initrd of a slot that is being written. It lies beside its name,
// where no boot loader finds it, until the whole slot is proved.
type bootFile struct {
	artifact *mirror.Artifact
	path     string // where the boot loader looks for it
	kept     bool   // path holds the artifact already
}

func (f *bootFile) hidden() string { return f.path + ".next" }

// bootFiles are the kernel and the initrd of a slot.
type bootFiles []*bootFile

// bootFiles finds out what has to be written for a release. A release needs a kernel and an initrd.
func (d *Device) bootFiles(s *config.Slot, release *mirror.Release) (bootFiles, error) {
	var files bootFiles
	for _, x := range []struct{ name, path string }{
		{mirror.KernelName, d.kernel(s)},
		{mirror.InitrdName, d.initrd(s)},
	} {
		a := release.Artifact(x.name)
		if a == nil {
			return nil, fmt.Errorf("release %s: %s: %w", release.Version, x.name,
				apply.ErrNoArtifact)
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

// hide takes the slot's files out of the boot loader's sight, durably. Those that are right move
// beside their name.
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
		if err := durable.Rename(f.hidden(), f.path); err != nil &&
			!errors.Is(err, fs.ErrNotExist) {
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
	file, err := plainfile.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close() // read only
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != f.artifact.Size {
		return fmt.Errorf("%s: %w: %d bytes, not %d", f.path, apply.ErrVerify, info.Size(),
			f.artifact.Size)
	}
	id, err := hashMedium(file)
	if err != nil {
		return err
	}
	if id != f.artifact.ID {
		return fmt.Errorf("%s: %w", f.path, apply.ErrVerify)
	}
	return nil
}

// hashMedium hashes a file past the page cache.
func hashMedium(file *os.File) (id chunkstore.ID, err error) {
	h := chunkstore.NewHasher()
	if err := medium.Copy(h, file); err != nil {
		return id, err
	}
	return h.ID(), nil
}

// note has the record say what the files are.
func (l bootFiles) note(rec *Record) {
	for _, f := range l {
		switch f.artifact.Name {
		case mirror.KernelName:
			rec.KernelID = f.artifact.ID
		case mirror.InitrdName:
			rec.InitrdID = f.artifact.ID
		}
	}
}

// intact compares a slot's kernel and initrd with what is known of them, and wraps ErrNotWhole when
// they differ. A boot loader cannot tell that a file was cut off or changed, and starts it.
func (d *Device) intact(s *config.Slot, rec *Record) error {
	return d.eachBootFile(s, rec, func(file *os.File, want *chunkstore.ID) error {
		if want.IsZero() {
			return nil
		}
		id, err := hashMedium(file)
		switch {
		case medium.Failed(err):
			err = fmt.Errorf("slot %s: %w: %w", s.Name, ErrNotWhole, err)
		case err == nil && id != *want:
			err = fmt.Errorf("slot %s: %w: %s is not what was installed", s.Name, ErrNotWhole,
				file.Name())
		}
		return err
	})
}

// knowFiles puts the kernel and the initrd of a slot that has just booted with them into its
// record, unless they are there.
func (d *Device) knowFiles(s *config.Slot) error {
	return d.changeRecords(func(r *records) error {
		know := func(file *os.File, known *chunkstore.ID) (err error) {
			if known.IsZero() {
				*known, err = hashMedium(file)
			}
			return err
		}
		return d.eachBootFile(s, r.slot(s.Name), know)
	})
}

// eachBootFile opens the kernel and the initrd of a slot, and leaves out a missing one.
func (d *Device) eachBootFile(s *config.Slot, rec *Record,
	do func(*os.File, *chunkstore.ID) error) error {
	for _, x := range []struct {
		path string
		id   *chunkstore.ID
	}{{d.kernel(s), &rec.KernelID}, {d.initrd(s), &rec.InitrdID}} {
		file, err := plainfile.Open(x.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = do(file, x.id)
		file.Close() // read only
		if err != nil {
			return err
		}
	}
	return nil
}
