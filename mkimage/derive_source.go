package mkimage

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
)

// File opens the content with an id for random access. It does not verify what it reads. Its error
// wraps fs.ErrNotExist when the image does not have the content.
func (d *Derived) File(id chunkstore.ID) (*squashfs.File, error) {
	p := d.placeOf(id)
	if p == nil {
		return nil, fmt.Errorf("content %v: %w", id, fs.ErrNotExist)
	}
	return d.image.File(d.node(p))
}

// Source gives contents from the image as it is now. It does not verify them; Build does. It
// implements [Stored] too when the image has r's codec and block size, so that a build of r can
// copy its blocks. With r nil it does not.
func (d *Derived) Source(r *Recipe) Source {
	source := imageSource{d}
	if r == nil || d.Recipe.Codec == "" || r.Codec != d.Recipe.Codec ||
		r.BlockSize != d.Recipe.BlockSize {
		return source
	}
	return &storedSource{imageSource: source}
}

// imageSource is a Source of the contents of an image.
type imageSource struct{ d *Derived }

// Open implements Source.
func (s imageSource) Open(_ context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	f, err := s.d.File(c.ID)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(io.NewSectionReader(f, 0, f.Size())), nil
}

// storedSource also gives the image's stored blocks. It is safe for concurrent use, but quick only
// for one caller that asks for the blocks of a content in order.
type storedSource struct {
	imageSource

	mu     sync.Mutex
	id     chunkstore.ID // the content that was asked for last
	blocks []squashfs.Block
	buffer []byte
}

// StoredBlock implements Stored.
func (s *storedSource) StoredBlock(c *chunkstore.Content,
	n int) (stored []byte, compressed, ok bool, err error) {
	p := s.d.placeOf(c.ID)
	if p == nil || p.hasTail() || p.data.Size() != c.Size {
		return nil, false, false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id != c.ID {
		if err := s.list(p); err != nil {
			return nil, false, false, err
		}
	}
	if n < 0 || n >= len(s.blocks) {
		return nil, false, false, nil
	}
	return s.read(s.blocks[n])
}

// list reads the block list of the content at p. Derive has bounded its length.
func (s *storedSource) list(p *place) error {
	s.id, s.blocks = chunkstore.ID{}, s.blocks[:0]
	for b, err := range s.d.image.Blocks(s.d.node(p)) {
		if err != nil {
			return err
		}
		s.blocks = append(s.blocks, b)
	}
	s.id = p.content.ID
	return nil
}

// StoredFragment implements Stored.
func (s *storedSource) StoredFragment(
	contents []chunkstore.ID,
) (stored []byte, compressed, ok bool, err error) {
	index, ok := s.d.fragments[KeyOf(contents)]
	if !ok {
		return nil, false, false, nil
	}
	b, err := s.d.image.FragmentBlock(index)
	if err != nil {
		return nil, false, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read(b)
}

func (s *storedSource) read(b squashfs.Block) (stored []byte, compressed, ok bool, err error) {
	s.buffer, err = s.d.image.ReadStored(b, s.buffer[:0])
	if err != nil {
		return nil, false, false, err
	}
	return s.buffer, b.Compressed && b.Length > 0, true, nil
}
