package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"deltaup/mkimage/tree"
)

// layersMax bounds the layers of an image, each of which takes a file descriptor. Docker permits
// 127.
const layersMax = 256

// ContainerLayer is one layer of a container image.
type ContainerLayer struct {
	Name string // for messages
	// Open gives the layer's archive, which FromTar could read. FromLayers reads it to its end, and
	// its errors are those of the reader and of Close.
	Open func() (io.ReadCloser, error)
}

// FromLayers reads the tree that the layers of a container image make, the lowest first, each as
// FromTar reads an archive that is unpacked upon the layers below. So a hard link may lead to a file
// of a lower layer, a name may lie behind a symbolic link of one, and a folder that a layer does not
// list keeps its attributes. A layer may be empty.
//
// Marks remove files, as the layer format of OCI says: ".wh.NAME" removes NAME from the layers
// below, and ".wh..wh..opq" all that the layers below have in its folder. What the layer itself has
// there stays, wherever the mark stands in its archive. Other names that begin with ".wh..wh." are
// those of aufs, and mean nothing.
//
// Options.IgnoreZeros has no effect. Options.ContainerFiles permits marks of overlayfs, which is not
// the format of layers, as files. Closing the tree frees the room that the unpacked layers take in
// the system's folder for temporary files.
func FromLayers(ctx context.Context, layers []ContainerLayer, o Options) (tree.Tree, error) {
	t, err := fromLayers(ctx, layers, o)
	if err != nil {
		return nil, fmt.Errorf("read layers of a container image: %w", err)
	}
	return t, nil
}

func fromLayers(ctx context.Context, layers []ContainerLayer, o Options) (*finished, error) {
	if len(layers) > layersMax {
		return nil, fmt.Errorf("%w: %d layers", ErrTooLarge, len(layers))
	}
	c, err := newCollection(o)
	if err != nil {
		return nil, err
	}
	s := make(stack, len(layers))
	archive := io.NewSectionReader(s, 0, int64(len(s))*spoolMax)
	x := newTarIndex(c, archive)
	x.layered = true
	for i := range layers {
		if err := x.readLayer(ctx, s, i, &layers[i]); err != nil {
			err = fmt.Errorf("layer %s: %w", layers[i].Name, err)
			return nil, errors.Join(err, s.Close())
		}
	}
	err = x.finishNames()
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	t, err := c.finish("a container image")
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	t.open, t.close = openIn(archive), s.Close
	return t, nil
}

// readLayer applies layer i to the tree.
func (x *tarIndex) readLayer(ctx context.Context, s stack, i int, l *ContainerLayer) error {
	r, err := l.Open()
	if err != nil {
		return err
	}
	err = x.readSpool(ctx, s, i, r)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (x *tarIndex) readSpool(ctx context.Context, s stack, i int, r io.Reader) error {
	var err error
	if s[i], err = newSpool(ctx, r, x.options.tempDir); err != nil {
		return err
	}
	x.layer = int32(i)
	x.globals.records = nil
	if _, err := x.readOne(ctx, int64(i)*spoolMax); err != nil {
		return err
	}
	x.settle()
	if err := s[i].drain(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, contextReader{ctx, r}) // what a decompressor has left
	return err
}

// stack is the unpacked layers so far as one archive, in which layer i begins at i times spoolMax.
type stack []*spool

// ReadAt implements io.ReaderAt. The end of each layer is an end of the file.
func (s stack) ReadAt(p []byte, off int64) (int, error) {
	i := off / spoolMax
	if i >= int64(len(s)) || s[i] == nil {
		return 0, io.EOF
	}
	return s[i].ReadAt(p, off%spoolMax)
}

// Close frees the room.
func (s stack) Close() error {
	var err error
	for _, layer := range s {
		if layer != nil {
			err = errors.Join(err, layer.Close())
		}
	}
	return err
}

// opaque is the mark of a folder that hides all that lower layers have in it.
const opaque = whiteout + whiteout + ".opq"

// hide applies the mark of a layer. It gives false for a name that is none.
func (x *tarIndex) hide(name string) (mark bool, err error) {
	dir, base := parentOf(name), path.Base(name)
	for above := range strings.SplitSeq(dir, "/") {
		switch {
		case strings.HasPrefix(above, whiteout+whiteout):
			return true, nil // of aufs
		case strings.HasPrefix(above, whiteout):
			return true, fmt.Errorf("%w: %s lies below a mark", ErrMalformed, show(name))
		}
	}
	hidden, mark := strings.CutPrefix(base, whiteout)
	switch {
	case !mark:
		return false, nil
	case hidden == "" || hidden == "." || hidden == "..":
		return true, fmt.Errorf("%w: the mark %s removes no name", ErrMalformed, show(name))
	case base != opaque && strings.HasPrefix(hidden, whiteout):
		return true, nil // of aufs
	}
	n, err := x.walk(dir, name, false)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return true, err
	}
	x.lastDir = nil
	if base != opaque {
		return true, x.prune(n, hidden)
	}
	for child := range n.children {
		if err := x.prune(n, child); err != nil {
			return true, err
		}
	}
	return true, nil
}

// prune removes what the layers below have put at a name of dir and below it. A folder of theirs
// in which the layer itself has put something becomes one that no layer describes.
func (x *tarIndex) prune(dir *tarName, base string) error {
	if x.steps++; x.steps > stepsMax {
		return fmt.Errorf("%w: the marks of layers remove too much", ErrTooLarge)
	}
	n := dir.children[base]
	if n == nil {
		return nil
	}
	for child := range n.children {
		if err := x.prune(n, child); err != nil {
			return err
		}
	}
	switch {
	case n.layer == x.layer:
	case len(n.children) == 0:
		delete(dir.children, base)
	default:
		n.file, n.layer = &tarFile{Entry: x.implied()}, x.layer
	}
	return nil
}
