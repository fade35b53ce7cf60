package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
)

// announce checks a name and tells package durable what is about to be done with it.
func (d *Folder) announce(op durable.Op, name string) error {
	if err := check(string(op), name); err != nil {
		return err
	}
	return durable.Announce(durable.Action{Op: op, Path: d.path(name)})
}

// Make makes a folder, with this mode under every umask, and opens it.
func (d *Folder) Make(name string, mode uint32) (*Folder, error) {
	if err := d.announce(durable.OpMkdir, name); err != nil {
		return nil, err
	}
	if err := unix.Mkdirat(d.fd(), name, mode&0o700); err != nil {
		return nil, d.fail("mkdir", name, err)
	}
	made, err := d.Folder(name)
	if err != nil {
		return nil, err
	}
	if err := unix.Fchmod(made.fd(), mode); err != nil {
		return nil, errors.Join(d.fail("chmod", name, err), made.Close())
	}
	return made, nil
}

// Need opens a folder, which it makes, with this mode, when there is none.
func (d *Folder) Need(name string, mode uint32) (*Folder, error) {
	have, err := d.Folder(name)
	if errors.Is(err, fs.ErrNotExist) {
		return d.Make(name, mode)
	}
	return have, err
}

// Create makes an empty file that only its owner may read and write, and opens it for both. The
// name must be new.
func (d *Folder) Create(name string) (*os.File, error) {
	if err := check("create", name); err != nil {
		return nil, err
	}
	if err := durable.Announce(durable.Action{Op: durable.OpCreate, Path: d.f.Name()}); err != nil {
		return nil, err
	}
	// What is written is lost by a cut that comes before a sync.
	if err := d.announce(durable.OpWrite, name); err != nil {
		return nil, err
	}
	fd, err := openRetry(d.fd(), name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, d.fail("create", name, err)
	}
	f := os.NewFile(uintptr(fd), d.path(name))
	if err := f.Chmod(0o600); err != nil { // a umask can have taken the owner's bits as well
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Write makes a file of these bytes that only its owner may read and write. The name must be new.
func (d *Folder) Write(name string, p []byte) error {
	f, err := d.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(p)
	return errors.Join(err, f.Close())
}

// Symlink makes a symbolic link.
func (d *Folder) Symlink(name, target string) error {
	if err := d.announce(durable.OpCreate, name); err != nil {
		return err
	}
	return d.fail("symlink", name, unix.Symlinkat(target, d.fd(), name))
}

// Whiteout makes the device file 0:0, which is overlayfs's mark of a removed name.
func (d *Folder) Whiteout(name string) error {
	if err := d.announce(durable.OpCreate, name); err != nil {
		return err
	}
	return d.fail("mknod", name, unix.Mknodat(d.fd(), name, unix.S_IFCHR, 0))
}

// Lchown gives a name, but not what a link leads to, an owner.
func (d *Folder) Lchown(name string, uid, gid uint32) error {
	if err := check("chown", name); err != nil {
		return err
	}
	return d.fail("chown", name, unix.Fchownat(d.fd(), name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW))
}

// Rename gives what has a name in this folder another name, in another folder perhaps, in place of
// a file that has that.
func (d *Folder) Rename(name string, to *Folder, new string) error {
	if err := errors.Join(check("rename", name), check("rename", new)); err != nil {
		return err
	}
	err := durable.Announce(durable.Action{Op: durable.OpRename, Path: d.path(name), To: to.path(new)})
	if err != nil {
		return err
	}
	if err := unix.Renameat(d.fd(), name, to.fd(), new); err != nil {
		return &os.LinkError{Op: "rename", Old: d.path(name), New: to.path(new), Err: err}
	}
	return nil
}

// Remove removes a name that is no folder. A missing one is no error.
func (d *Folder) Remove(name string) error {
	if err := d.announce(durable.OpRemove, name); err != nil {
		return err
	}
	err := d.loosened(name, func() error { return unix.Unlinkat(d.fd(), name, 0) })
	if err == unix.ENOENT {
		return nil
	}
	return d.fail("remove", name, err)
}

// Sync makes the names in the folder durable.
func (d *Folder) Sync() error {
	if err := durable.Announce(durable.Action{Op: durable.OpSyncFolder, Path: d.f.Name()}); err != nil {
		return err
	}
	err := d.f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil // this file system (FUSE, CIFS) has no fsync of folders
	}
	return err
}

// SyncAll makes everything durable that lies in the folder's file system.
func (d *Folder) SyncAll() error {
	if err := durable.Announce(durable.Action{Op: durable.OpSyncAll, Path: d.f.Name()}); err != nil {
		return err
	}
	return d.fail("syncfs", "", unix.Syncfs(d.fd()))
}

// Discard moves a name of any kind into a folder whose content is of no use, which Empty then
// removes.
func (d *Folder) Discard(name string, trash *Folder) error {
	if err := d.announce(durable.OpRemove, name); err != nil {
		return err
	}
	to := fmt.Sprintf("discarded-%016x", rand.Uint64())
	err := d.loosened(name, func() error { return unix.Renameat(d.fd(), name, trash.fd(), to) })
	if err == unix.ENOENT {
		return nil
	}
	return d.fail("discard", name, err)
}

// SyncFile makes the bytes of a file durable that Create has opened.
func SyncFile(f *os.File) error {
	if err := durable.Announce(durable.Action{Op: durable.OpSync, Path: f.Name()}); err != nil {
		return err
	}
	return f.Sync()
}

// RemoveAll removes a name with all that is below it. It is for folders that the caller trusts: Empty
// is for the others.
func (d *Folder) RemoveAll(name string) error {
	if err := d.announce(durable.OpRemove, name); err != nil {
		return err
	}
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", d.fd()))
	if err != nil {
		return err
	}
	return errors.Join(root.RemoveAll(name), root.Close())
}
