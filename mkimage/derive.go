package mkimage

import (
	"context"
	"errors"
	"fmt"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// DeriveOptions says how to derive; the zero value is usable.
type DeriveOptions struct {
	Workers int // reading goroutines; 0: GOMAXPROCS
	// leave out what can't be read, and list it, instead of failing
	Tolerant bool
	Known    *Recipe                 // of this image, from elsewhere; see Derive
	Progress func(done, total int64) // plain bytes read; called by one goroutine at a time
}

// Derived is a recipe that was made from an image, and the way back to the image's bytes.
type Derived struct {
	Recipe     *Recipe      // Codec is "" when the image does not tell; then Build refuses it
	Unreadable []Unreadable // with DeriveOptions.Tolerant: files that are not in Recipe

	image     *squashfs.Image
	places    map[chunkstore.ID]*place // of every content with bytes
	fragments map[chunkstore.ID]int    // key of the contents in a fragment block -> its index
}

// Unreadable is a file of a damaged image that is left out or, when Err is one of the tree
// itself, the last name that could be read.
type Unreadable struct {
	Path string
	Err  error
}

// Derive reads all of m once and gives its recipe, contents cut by params (zero: as the
// image says, else the default). For an image made by Build the recipe equals the original.
// An image of foreign making gives a recipe without a codec.
//
// With DeriveOptions.Known the files that it names, of the same size and with all chunks, are
// believed to have its contents and are not read; when it is cut by other params, all are. Who
// reads such a content later may find another one.
func Derive(ctx context.Context, m *squashfs.Image, params chunkstore.Params,
	o DeriveOptions) (*Derived, error) {
	d := &deriver{
		image:   m,
		options: o,
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

	blocks int64                    // that were counted against blocksMax
	places []*place                 // distinct ones
	byData map[chunkstore.ID]*place // by a hash of where the data are
	files  map[int]*place           // of the entry with this index
}

// place is where one content lies in an image; files with the same data share one.
type place struct {
	node     *squashfs.Node // of the first file there
	start    int64          // first stored data block, 0 for none
	fragment int            // fragment block with the tail, -1 for none
	offset   int            // of the tail in it
	content  *chunkstore.Content
	err      error // with DeriveOptions.Tolerant: why there is no content
}

// small reports whether all of the content is in a fragment block.
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

// walk collects the tree, and where each file's data are.
func (d *deriver) walk(ctx context.Context) error {
	links := make(map[uint32]int) // first entry of each inode with several names
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

// locate finds where a file's data are; files with the same data share a place.
func (d *deriver) locate(n *squashfs.Node) (*place, error) {
	blockSize := int64(d.out.Recipe.BlockSize)
	if d.blocks += n.Size/blockSize + 1; d.blocks > blocksMax {
		return nil, corrupt("more than %d blocks of %d bytes in all", blocksMax, blockSize)
	}
	p := &place{node: n, fragment: -1}
	h := chunkstore.NewHasher()
	fmt.Fprintln(h, n.Size)
	for b, err := range d.image.Blocks(n) {
		if err != nil {
			return nil, err
		}
		if p.start == 0 && b.Length > 0 {
			p.start = b.Offset
		}
		fmt.Fprintln(h, b.Offset, b.Length, b.Compressed)
	}
	if index, offset, ok := d.image.Fragment(n); ok {
		p.fragment, p.offset = index, offset
		fmt.Fprintln(h, "tail", index, offset)
	}
	key := h.ID()
	if known := d.byData[key]; known != nil {
		return known, nil
	}
	d.byData[key] = p
	d.places = append(d.places, p)
	return p, nil
}

// tolerable reports whether an error only makes the recipe smaller.
func (d *deriver) tolerable(err error) bool {
	return d.options.Tolerant && !errors.Is(err, context.Canceled) &&
		!errors.Is(err, context.DeadlineExceeded)
}

// lose notes that the content of p can't be read, or returns the error if that is not permitted.
func (d *deriver) lose(p *place, err error) error {
	err = fmt.Errorf("/%s: %w", p.node.Path, err)
	if !d.tolerable(err) {
		return err
	}
	p.err = err
	return nil
}
