package artifact

import (
	"context"
	"errors"
	"io"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/uki"
)

// ukiKind is the Kind of unified kernel images, see package uki. It takes their kernel and initrds
// apart as the kinds of these do. Its artifacts are built as they were before.
type ukiKind struct{}

// Name implements Kind.
func (*ukiKind) Name() string { return "uki" }

// Artifact implements Kind.
func (*ukiKind) Artifact() string { return kernelKind{}.Name() }

// AppendLine implements Kind: most of what a recipe has is about the initrd.
func (*ukiKind) AppendLine(b []byte, e *mkimage.Entry, id chunkstore.ID) []byte {
	return initrdKind{}.AppendLine(b, e, id)
}

// TakeApart implements Kind.
func (*ukiKind) TakeApart(ctx context.Context, f File, o Options) (Recipe, mkimage.Source, error) {
	parts, err := uki.Split(f, f.Size())
	if err == nil && (parts == nil || o.Whole) { // which the next kind takes
		err = errNoUKI
	}
	if err != nil {
		return nil, nil, err
	}
	r, src := &ukiRecipe{}, sources{}
	at, used := int64(0), int64(0)
	for _, p := range parts {
		of, spool := o, &tail{o.Spool, used, 0}
		if o.Spool != nil {
			of.Spool = spool
		}
		part, from, err := takePart(ctx, io.NewSectionReader(f, at, p.Size), p.Section, of)
		if err != nil {
			return nil, nil, err
		}
		if r.parts, src = append(r.parts, part), append(src, from); p.Section == uki.Kernel {
			r.linux, _ = part.(kernelRecipe)
		}
		at, used = at+p.Size, used+spool.size
	}
	return r, src, nil
}

var errNoUKI = foreign{unsupported{errors.New("it is no unified kernel image")}}

// takePart takes a kernel or an initrd apart. When it can't be made again, it stays as it is, as
// what is neither does: it is taken as a kernel that is one content.
func takePart(ctx context.Context, was *io.SectionReader, section string,
	o Options) (r Recipe, src mkimage.Source, err error) {
	switch section {
	case "":
		err = errNoUKI
	case uki.Kernel:
		r, src, err = kernelKind{}.TakeApart(ctx, was, o)
	default:
		r, src, err = initrdKind{}.TakeApart(ctx, was, o)
		if initrd, ok := r.(initrdRecipe); ok && !o.Seed && o.Spool != nil {
			err = initrd.find(ctx, src, was)
		}
	}
	if !errors.Is(err, ErrUnsupported) {
		return r, src, err
	}
	if section != "" && o.Warn != nil {
		o.Warn(section + " stays as it is: " + err.Error())
	}
	o.Whole = true
	return kernelKind{}.TakeApart(ctx, io.NewSectionReader(was, 0, was.Size()), o)
}

// tail is a spool behind the first bytes of another one.
type tail struct {
	spool      Spool
	base, size int64
}

// ReadAt implements Spool.
func (t *tail) ReadAt(p []byte, off int64) (int, error) { return t.spool.ReadAt(p, t.base+off) }

// WriteAt implements Spool.
func (t *tail) WriteAt(p []byte, off int64) (int, error) {
	t.size = max(t.size, off+int64(len(p)))
	return t.spool.WriteAt(p, t.base+off)
}

// sources gives what one of them has.
type sources []mkimage.Source

// Open implements mkimage.Source.
func (s sources) Open(ctx context.Context, c *chunkstore.Content) (r io.ReadCloser, err error) {
	err = chunkstore.ErrNotFound
	for i := 0; i < len(s) && errors.Is(err, chunkstore.ErrNotFound); i++ {
		r, err = s[i].Open(ctx, c)
	}
	return r, err
}
