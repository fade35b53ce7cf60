package initramfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/tree"
)

// microcodeNames are the files in which the kernel looks for its processor's microcode, by the
// folders of firmware in which distributions have it in pieces; see its
// Documentation/arch/x86/microcode.rst.
var microcodeNames = map[string]string{
	"intel-ucode": "kernel/x86/microcode/GenuineIntel.bin",
	"amd-ucode":   "kernel/x86/microcode/AuthenticAMD.bin",
}

const microcodeMax = 64 << 20 // of one maker, in bytes; Intel's has 8 MB

// archiveMagic is what a plain cpio archive begins with.
const archiveMagic = "070701"

// writeMicrocode writes archives that the kernel reads before it unpacks anything: those that the
// settings name as they are, and one of the folders that they name.
func writeMicrocode(ctx context.Context, out *counter, t tree.Tree, names []string, time uint32) error {
	root := lookup.New(t)
	made := newSelection(empty{})
	for _, name := range names {
		e := root.Stat(name)
		var err error
		switch {
		case e == nil:
			err = errors.New("the tree has it not")
		case e.Type == tree.Directory:
			err = addMicrocode(made, root, e.Path)
		default:
			err = copyArchive(out, root, e)
		}
		if err != nil {
			return wrong("microcode: /%s: %w", strings.TrimPrefix(name, "/"), err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if len(made.items) == 1 {
		return nil
	}
	if err := writeArchive(ctx, out, made, time); err != nil {
		return err
	}
	return out.align()
}

// addMicrocode adds the microcode whose pieces are the files of a folder: one after another, by
// their names.
func addMicrocode(made *selection, root *lookup.View, dir string) error {
	name := microcodeNames[path.Base(dir)]
	if name == "" {
		return errors.New("want an archive, or a folder intel-ucode or amd-ucode")
	}
	var all []byte
	for _, sub := range root.Names(dir) {
		e := root.Stat(dir + "/" + sub)
		if e == nil || e.Type != tree.Regular || strings.HasSuffix(sub, ".asc") ||
			strings.HasPrefix(sub, "README") {
			continue
		}
		b, err := root.Read(e.Path, microcodeMax)
		if err != nil {
			return err
		}
		if all = append(all, b...); len(all) > microcodeMax {
			return fmt.Errorf("more than %d MiB", microcodeMax>>20)
		}
	}
	if len(all) == 0 {
		return errors.New("the folder has no microcode")
	}
	return made.makeFile(name, 0o644, all)
}

// copyArchive copies a file that is a plain archive.
func copyArchive(out *counter, root *lookup.View, e *tree.Entry) error {
	r, err := root.Open(e)
	if err != nil {
		return err
	}
	defer r.Close() // it is only read
	head := make([]byte, len(archiveMagic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != archiveMagic {
		return errors.New("it is no plain cpio archive")
	}
	if _, err := io.Copy(out, io.MultiReader(bytes.NewReader(head), r)); err != nil {
		return err
	}
	return out.align()
}

// align writes zeros up to a multiple of 4, where the kernel looks for the next archive.
func (c *counter) align() error {
	_, err := c.Write(make([]byte, -c.n&3))
	return err
}

// empty is a tree of nothing but its root.
type empty struct{}

func (empty) Entries() []tree.Entry {
	return []tree.Entry{{Attr: tree.Attr{Type: tree.Directory, Mode: 0o755}}}
}
func (empty) Open(int) (io.ReadCloser, error) { return nil, errors.New("nothing to open") }
func (empty) Warnings() []string              { return nil }
func (empty) Close() error                    { return nil }
