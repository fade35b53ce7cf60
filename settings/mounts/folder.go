package mounts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// newPrefix begins the names of folders that are not whole yet. No escaped path begins with a dot.
const newPrefix = ".new-"

// escape is the name that the folder of data of an absolute, clean path has on the data partition:
// as systemd-escape --path has it, so that /var/lib/my-app is var-lib-my\x2dapp.
func escape(name string) string {
	var b strings.Builder
	for i, c := range []byte(strings.Trim(name, "/")) {
		switch {
		case c == '/':
			b.WriteByte('-')
		case c == '.' && i > 0, c == '_', c == ':', '0' <= c && c <= '9', 'a' <= c && c <= 'z',
			'A' <= c && c <= 'Z':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}

// Folder binds the folder of data of an absolute, clean path on that path of the new root. A folder
// that the data partition lacks is made first, durably, with the owner, the mode and the contents
// that the image's has; one that the image lacks, too, is empty and root's, with the mode 0755.
func (m *Mounter) Folder(ctx context.Context, name string) error {
	all, err := m.folders()
	if err != nil {
		return err
	}
	defer all.Close() // what is made in it is synced
	from, err := folderAt(all, escape(name))
	if errors.Is(err, unix.ENOENT) {
		if err = m.makeFolder(ctx, all, name); err == nil {
			from, err = folderAt(all, escape(name))
		}
	}
	if err != nil {
		return err
	}
	defer from.Close() // only opened
	on, err := m.place(name)
	if err != nil {
		return err
	}
	defer on.Close() // only opened
	return bind(on, from)
}

// folders opens the folder of all folders of data. Only root may enter it: the mode of each says
// nothing of the folders above it in the image.
func (m *Mounter) folders() (*os.File, error) { return m.own("folders") }

// Store opens the folder of the store of settings, which it makes when it is missing.
func (m *Mounter) Store() (*os.File, error) { return m.own("settings") }

// own opens a folder below deltaup on the data partition that only root may enter.
func (m *Mounter) own(name string) (*os.File, error) {
	deltaup, err := madeAt(m.data, "deltaup", 0o755)
	if err != nil {
		return nil, err
	}
	f, err := madeAt(deltaup, name, 0o700)
	if err == nil {
		err = errors.Join(restrict(deltaup, 0o022), restrict(f, 0o077))
	}
	return f, errors.Join(err, deltaup.Close())
}

// restrict makes a folder root's, and takes these bits from its mode: a stranger can have given it to
// a user of the machine, who would then write the settings.
func restrict(f *os.File, bits uint32) error {
	var s unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &s)
	if err == nil && s.Uid|s.Gid != 0 {
		err = unix.Fchown(int(f.Fd()), 0, 0)
	}
	if err == nil && s.Mode&bits != 0 {
		err = unix.Fchmod(int(f.Fd()), s.Mode&0o7777&^bits)
	}
	if err != nil {
		return &os.PathError{Op: "take from others", Path: f.Name(), Err: err}
	}
	return nil
}

// madeAt opens the folder that an open folder has by this name, which it makes when it is missing.
func madeAt(at *os.File, name string, mode uint32) (*os.File, error) {
	made := unix.Mkdirat(int(at.Fd()), name, mode)
	if made != nil && !errors.Is(made, unix.EEXIST) {
		return nil, &os.PathError{Op: "mkdir", Path: path.Join(at.Name(), name), Err: made}
	}
	f, err := folderAt(at, name)
	if err == nil && made == nil {
		err = at.Sync()
	}
	return f, err
}

// makeFolder makes a folder of data whole, under another name, before it gets its own.
func (m *Mounter) makeFolder(ctx context.Context, all *os.File, name string) error {
	temp := newPrefix + rand.Text()
	if err := unix.Mkdirat(int(all.Fd()), temp, 0o700); err != nil {
		return &os.PathError{Op: "mkdir", Path: path.Join(all.Name(), temp), Err: err}
	}
	if err := m.fillFolder(ctx, all, temp, name); err != nil {
		// Clean may have no time left, and the next boot tries again.
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
		defer cancel()
		left := maxRemoved
		err = errors.Join(err, remove(short, all, temp, &left, 0))
		return fmt.Errorf("the folder of data %s: %w", name, err)
	}
	if err := unix.Renameat(int(all.Fd()), temp, int(all.Fd()), escape(name)); err != nil {
		return &os.PathError{Op: "rename", Path: path.Join(all.Name(), temp), Err: err}
	}
	return all.Sync()
}

func (m *Mounter) fillFolder(ctx context.Context, all *os.File, temp, name string) error {
	to, err := folderAt(all, temp)
	if err != nil {
		return err
	}
	defer to.Close() // it is synced
	from, err := inRoot(m.image, name)
	switch {
	case errors.Is(err, unix.ENOENT):
		err = to.Chmod(0o755)
	case err == nil:
		err = errors.Join(copyFolder(ctx, to, from, 0), from.Close())
	}
	if err != nil {
		return err
	}
	return os.NewSyscallError("syncfs", unix.Syncfs(int(to.Fd())))
}

// Clean removes what boots have left behind that were cut off while they made a folder of data. It
// stops when there is much of it, or when the context ends, and the next boot goes on.
func (m *Mounter) Clean(ctx context.Context) error {
	all, err := m.folders()
	if err != nil {
		return err
	}
	defer all.Close() // removing again does no harm
	names, err := all.Readdirnames(maxRemoved)
	if len(names) == 0 || err != nil {
		return nil // there is none
	}
	left := maxRemoved
	for _, name := range names {
		if strings.HasPrefix(name, newPrefix) {
			err = errors.Join(err, remove(ctx, all, name, &left, 0))
		}
	}
	return err
}
