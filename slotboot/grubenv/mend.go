package grubenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"deltaup/internal/durable"
	"deltaup/internal/plainfile"
)

// ErrForeign is wrapped when what lies in the place of a block never was one.
var ErrForeign = errors.New("holds something else than a GRUB environment block")

// maxFile bounds what can have been a block.
const maxFile = 64 << 10

// Place is the place of a block, and what lies there.
type Place struct {
	// Fault is why the block cannot be used, nil when it is sound. It wraps ErrMalformed or
	// fs.ErrNotExist.
	Fault error
	// block has what can be read. Of a damaged block that is what GRUB reads of it, and of the
	// variables of others also those that garbage hides from GRUB.
	block *Block

	path string
	old  []byte // what it held; nil when it was not there
	info fs.FileInfo
	made []byte // what Apply wrote; nil when that was nothing
}

// Find looks at the place of a block. It wraps ErrForeign unless what lies there may be
// overwritten: nothing, a file that begins as a block as far as it goes, one that is as long as a
// block, or one that has only zeros.
func Find(path string) (*Place, error) {
	p := &Place{path: path, block: new(Block)}
	b, err := plainfile.Read(path, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.Fault = err
		return p, nil
	case errors.Is(err, plainfile.ErrKind):
		return nil, fmt.Errorf("%w: %w", ErrForeign, err)
	case err != nil && len(b) > maxFile:
		return nil, fmt.Errorf("%s: %w: it has more than %d bytes", path, ErrForeign, maxFile)
	case err != nil:
		return nil, err
	}
	if p.info, err = os.Stat(path); err != nil {
		return nil, err
	}
	if p.old = b; b == nil {
		p.old = []byte{}
	}
	if _, p.Fault = Parse(b); p.Fault != nil {
		p.Fault = fmt.Errorf("%s: %w", path, p.Fault)
	}
	if p.block, err = salvage(b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// salvage is what can be kept of the bytes in the place of a block.
func salvage(b []byte) (*Block, error) {
	block, ok := LoadEnv(b)
	if !ok {
		if !damaged(b) {
			return nil, fmt.Errorf("%w: %d bytes that begin with %.24q", ErrForeign, len(b), b)
		}
		block = new(Block)
	}
	continued := false
	for line := range strings.SplitSeq(string(b), "\n") {
		if !continued {
			block.recover(strings.TrimSuffix(line[strings.LastIndexByte(line, 0)+1:], "\r"))
		}
		continued = strings.HasSuffix(line, `\`)
	}
	return block, nil
}

// recover adds the variable of others that a line looks like, if garbage before it hides it from
// GRUB. Ours are made anew when they are lost.
func (b *Block) recover(line string) {
	name, value, ok := strings.Cut(line, "=")
	odd := strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' || r == '\\' })
	if ok && !odd && plain(name) && !strings.HasPrefix(name, Prefix) && b.index(name) < 0 {
		b.put(name, value)
	}
}

// damaged tells what is left of a block from other files. A path that was mistaken for the block's
// may be that of GRUB's configuration.
func damaged(b []byte) bool {
	head := strings.TrimSuffix(signature, "\n")
	return len(b) == Size || len(bytes.Trim(b, "\x00")) == 0 ||
		strings.HasPrefix(head, string(b)) || bytes.HasPrefix(b, []byte(head))
}

// Apply lets change alter the block, and writes it. A sound block is changed as by [Change]. A
// damaged one is overwritten in place when it has a block's length, and else replaced by a new
// file. When Apply returns, GRUB finds either without replaying a journal.
func (p *Place) Apply(ctx context.Context, change func(*Block) error) error {
	if p.Fault == nil {
		return Change(ctx, p.path, func(b *Block) error {
			for _, v := range p.block.vars {
				b.recover(v.name + "=" + v.value)
			}
			err := change(b)
			if err == nil {
				p.made, err = b.Marshal()
			}
			return err
		})
	}
	if err := change(p.block); err != nil {
		return err
	}
	b, err := p.block.Marshal()
	if err != nil {
		return fmt.Errorf("%s: %w", p.path, err)
	}
	p.made = b
	if len(p.old) != Size {
		return replace(p.path, b, p.info)
	}
	if err := overwrite(p.path, b); err != nil {
		return err
	}
	// it may have had holes, which are filled now
	return durable.SyncFileSystem(filepath.Dir(p.path))
}

// Undo brings back what Find has found, unless somebody else has changed the block since.
func (p *Place) Undo() error {
	if p.made == nil {
		return nil
	}
	now, err := plainfile.Read(p.path, maxFile)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	if bytes.Equal(now, p.old) && missing == (p.old == nil) {
		return nil
	}
	switch {
	case p.old == nil && bytes.Equal(now, p.made):
		err = durable.Remove(p.path)
	case len(p.old) != Size && (missing || bytes.Equal(now, p.made)):
		err = replace(p.path, p.old, p.info)
	case len(p.old) == Size && mixed(now, p.old, p.made): // an error may have torn the write
		err = overwrite(p.path, p.old)
	default:
		return fmt.Errorf("%s: %w: it was changed meanwhile", p.path, ErrMalformed)
	}
	if err != nil {
		return err
	}
	return durable.SyncFileSystem(filepath.Dir(p.path))
}

// mixed tells whether each sector of b is that of one of two blocks.
func mixed(b, x, y []byte) bool {
	for at := 0; at < Size; at += Sector {
		if len(b) != Size ||
			!bytes.Equal(b[at:at+Sector], x[at:at+Sector]) &&
				!bytes.Equal(b[at:at+Sector], y[at:at+Sector]) {
			return false
		}
	}
	return true
}

// overwrite writes all bytes of a file in place.
func overwrite(path string, b []byte) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return durable.Overwrite(f, b)
}

// replace makes path hold b: in a new file with the mode and the owner of the one before, if there
// was one.
func replace(path string, b []byte, before fs.FileInfo) error {
	dir := filepath.Dir(path)
	f, err := durable.Create(dir)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := io.Copy(f, bytes.NewReader(b)); err != nil {
		return err
	}
	if before != nil {
		if st, ok := before.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			// FAT has no owners
			if err := os.Chown(f.Name(), int(st.Uid), int(st.Gid)); err != nil &&
				!errors.Is(err, syscall.EPERM) {
				return err
			}
		}
		if err := os.Chmod(f.Name(), before.Mode().Perm()); err != nil {
			return err
		}
	}
	if err := f.Commit(path); err != nil {
		return err
	}
	return durable.SyncFileSystem(dir)
}
