package mkimage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// DeriveOptions says how to derive. The zero value is usable.
type DeriveOptions struct {
	// Tolerant has Derive leave out and list what it cannot read, instead of failing.
	Tolerant bool
	Known    *Recipe // a recipe of this image, from elsewhere; see Derive
	// Unlisted has Derive believe contents of Known, too, whose chunks are not known.
	Unlisted bool
	Progress func(done, total int64) // plain bytes read; called by one goroutine at a time
}

// Derived is a recipe made from an image, with the places of its contents in the image.
type Derived struct {
	// Codec is "" when the image does not tell it; Build then refuses the recipe
	Recipe     *Recipe
	Unreadable []Unreadable // files left out of Recipe, with DeriveOptions.Tolerant

	image     *squashfs.Image
	places    map[chunkstore.ID]*place // by id, of every content that is not empty
	fragments map[chunkstore.ID]int    // index of a fragment block, by the key of its contents
}

// Unreadable is a file of a damaged image that Derive left out. When Err is about the tree itself,
// it is the last name that Derive could read.
type Unreadable struct {
	Path string
	Err  error
}

// Derive reads all of m once and gives its recipe. It cuts contents by params; zero params are
// those in the image's trailer, else the default. For an image made by Build the recipe equals the
// original. For another image the recipe has no codec.
//
// With DeriveOptions.Known, Derive does not read files that have the same path and size in that
// recipe, with known chunks: it believes that they have that recipe's contents. With
// DeriveOptions.Unlisted their chunks may be unknown, and are so in the derived recipe. A later
// reader of such a content may find other bytes. Derive reads all files when the known recipe was
// cut by other params.
func Derive(ctx context.Context, m *squashfs.Image, params chunkstore.Params,
	o DeriveOptions) (*Derived, error) {
	d := &deriver{
		image:   m,
		options: o,
		hasher:  chunkstore.NewHasher(),
		byData:  make(map[chunkstore.ID]*place),
		files:   make(map[int]*place),
	}
	d.out = &Derived{image: m, Recipe: new(Recipe)}
	if err := d.run(ctx, params); err != nil {
		return nil, fmt.Errorf("derive recipe: %w", err)
	}
	return d.out, nil
}

// deriver is one run of Derive.
type deriver struct {
	image   *squashfs.Image
	options DeriveOptions
	out     *Derived

	blocks int64                    // data blocks so far, at most blocksMax
	places []*place                 // the distinct places
	hasher *chunkstore.Hasher       // of where the data of a file lie
	byData map[chunkstore.ID]*place // by that
	files  map[int]*place           // by the entry's index
}

// place is where one content lies in an image. Files with the same stored data share a place.
type place struct {
	node     *squashfs.Node // the first file with these data
	start    int64          // offset of the first stored data block; 0: none
	fragment int            // index of the fragment block with the tail; -1: none
	offset   int            // offset of the tail in it
	content  *chunkstore.Content
	err      error // why there is no content, with DeriveOptions.Tolerant
}

// small reports whether the whole content lies in a fragment block.
func (p *place) small(blockSize int) bool {
	return p.fragment >= 0 && p.node.Size < int64(blockSize)
}

func (d *deriver) run(ctx context.Context, params chunkstore.Params) error {
	info := d.image.Info()
	r := d.out.Recipe
	r.BlockSize, r.ModTime = info.BlockSize, info.ModTime
	told, ok, err := ReadTrailer(d.image)
	if err != nil && !d.tolerable(err) {
		return err
	}
	if r.Chunking = params; params == (chunkstore.Params{}) {
		if r.Chunking = told.Chunking; !ok {
			r.Chunking = chunkstore.DefaultParams
		}
	}
	if err := r.Chunking.Validate(); err != nil {
		return err
	}
	if err := d.walk(ctx); err != nil {
		return err
	}
	d.believe()
	if err := d.readAll(ctx); err != nil {
		return err
	}
	d.fill()
	d.indexFragments()
	if ok {
		d.recoverOrder(told)
	}
	return nil
}

// walk collects the tree and the place of each file.
func (d *deriver) walk(ctx context.Context) error {
	links := make(map[uint32]int) // first entry of each inode with several names, by inode
	r := d.out.Recipe
	last := ""
	err := d.image.Walk(func(n *squashfs.Node) error {
		last = n.Path
		if err := ctx.Err(); err != nil {
			return err
		}
		if n.Type != tree.Directory && n.Links > 1 {
			if first, ok := links[n.Inode]; ok {
				r.Entries = append(r.Entries, hardLink(n.Path, &r.Entries[first]))
				return nil
			}
			links[n.Inode] = len(r.Entries)
		}
		r.Entries = append(r.Entries,
			Entry{Entry: tree.Entry{Attr: n.Attr, Path: n.Path, Size: n.Size}})
		if n.Type != tree.Regular || n.Size == 0 {
			return nil
		}
		p, err := d.locate(n)
		if err != nil {
			p = &place{node: n}
			if err := d.lose(p, err); err != nil {
				return err
			}
		}
		d.files[len(r.Entries)-1] = p
		return nil
	})
	if err != nil && d.tolerable(err) {
		d.out.Unreadable = append(d.out.Unreadable, Unreadable{last, err})
		return nil
	}
	return err
}

// locate finds the place of a file.
func (d *deriver) locate(n *squashfs.Node) (*place, error) {
	blockSize := int64(d.out.Recipe.BlockSize)
	if d.blocks += n.Size/blockSize + 1; d.blocks > blocksMax {
		return nil, corrupt("more than %d blocks of %d bytes in all", blocksMax, blockSize)
	}
	p := &place{node: n, fragment: -1}
	d.hasher.Reset()
	var buf [4 * binary.MaxVarintLen64]byte
	note := func(kind byte, numbers ...int64) {
		text := append(buf[:0], kind)
		for _, n := range numbers {
			text = binary.AppendVarint(text, n)
		}
		d.hasher.Write(text)
	}
	note('s', n.Size)
	for b, err := range d.image.Blocks(n) {
		if err != nil {
			return nil, err
		}
		if p.start == 0 && b.Length > 0 {
			p.start = b.Offset
		}
		kind := byte('p')
		if b.Compressed {
			kind = 'c'
		}
		note(kind, b.Offset, int64(b.Length))
	}
	if index, offset, ok := d.image.Fragment(n); ok {
		p.fragment, p.offset = index, offset
		note('t', int64(index), int64(offset))
	}
	key := d.hasher.ID()
	if known := d.byData[key]; known != nil {
		return known, nil
	}
	d.byData[key] = p
	d.places = append(d.places, p)
	return p, nil
}

// tolerable reports whether the options permit to go on after an error.
func (d *deriver) tolerable(err error) bool {
	return d.options.Tolerant && !errors.Is(err, context.Canceled) &&
		!errors.Is(err, context.DeadlineExceeded)
}

// lose notes that the content of p cannot be read, or returns the error if that is not tolerable.
func (d *deriver) lose(p *place, err error) error {
	err = fmt.Errorf("/%s: %w", p.node.Path, err)
	if !d.tolerable(err) {
		return err
	}
	p.err = err
	return nil
}
