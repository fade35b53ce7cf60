package mkimage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

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
	places    []place
	placeAt   chunkstore.Numbers    // in places, of every content that is not empty
	fragments map[chunkstore.ID]int // index of a fragment block, by the key of its contents
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
		byData:  make(map[chunkstore.ID]uint32),
		byTail:  make(map[tail]uint32),
		lost:    make(map[uint32]error),
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
	hasher *chunkstore.Hasher       // of where the data of a file lie
	byData map[chunkstore.ID]uint32 // places by that, of files with blocks
	byTail map[tail]uint32          // places of other files
	files  []uint32                 // of each entry: its place plus one; 0: it has no data

	losing sync.Mutex
	lost   map[uint32]error // why a place has no content, with DeriveOptions.Tolerant
}

// place is where one content lies in an image. Files with the same stored data share a place.
type place struct {
	data    squashfs.FileData
	tail    tail
	entry   uint32 // the first file with these data
	content *chunkstore.Content
}

// tail is where the end of a file lies in a fragment block; what is in no fragment block has
// [squashfs.NoFragment].
type tail struct {
	fragment uint32 // index of the block
	offset   uint32 // in its plain bytes
	size     uint32
}

func (p *place) hasTail() bool { return p.tail.fragment != squashfs.NoFragment }

// small reports whether the whole content lies in a fragment block.
func (p *place) small(blockSize int) bool {
	return p.hasTail() && p.data.Size() < int64(blockSize)
}

// path is the first path of a file with the data of p.
func (d *Derived) path(p *place) string {
	return string(d.Recipe.Entries.paths.at(int(p.entry), nil))
}

// node gives what the image needs to know of a file with the data of p.
func (d *Derived) node(p *place) *squashfs.Node { return p.data.Node(d.path(p)) }

// placeOf gives the place of a content; nil: the image does not have it.
func (d *Derived) placeOf(id chunkstore.ID) *place {
	n, ok := d.placeAt.Find(&id, func(n uint32) bool { return d.places[n].content.ID == id })
	if !ok {
		return nil
	}
	return &d.places[n]
}

// IndexAgain finds the contents anew, once some have other ids than they had.
func (d *Derived) IndexAgain() {
	d.placeAt = chunkstore.Numbers{}
	for i := range d.places {
		if c := d.places[i].content; c != nil && !d.Has(c.ID) {
			d.indexPlace(uint32(i))
		}
	}
	d.indexFragments()
}

// indexPlace enters the place of a content that has none yet.
func (d *Derived) indexPlace(at uint32) {
	d.placeAt.Add(at, &d.places[at].content.ID,
		func(n uint32) *chunkstore.ID { return &d.places[n].content.ID })
}

// Has tells whether the image has the content with an id.
func (d *Derived) Has(id chunkstore.ID) bool { return d.placeOf(id) != nil }

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
	d.out.indexFragments()
	if ok {
		d.recoverOrder(told)
	}
	return nil
}

// walk collects the tree and the place of each file.
func (d *deriver) walk(ctx context.Context) error {
	links := make(map[uint32]int) // first entry of each inode with several names, by inode
	t := &d.out.Recipe.Entries
	last := ""
	err := d.image.Walk(func(n *squashfs.Node) error {
		last = n.Path
		if err := ctx.Err(); err != nil {
			return err
		}
		if n.Type != tree.Directory && n.Links > 1 {
			if first, ok := links[n.Inode]; ok {
				t.Append(hardLink(n.Path, t.At(first)))
				d.files = append(d.files, 0)
				return nil
			}
			links[n.Inode] = t.Len()
		}
		t.Append(Entry{Entry: tree.Entry{Attr: n.Attr, Path: n.Path, Size: n.Size}})
		if n.Type != tree.Regular || n.Size == 0 {
			d.files = append(d.files, 0)
			return nil
		}
		at, err := d.locate(n)
		if err != nil {
			at = d.addPlace(place{data: n.Data(), tail: tail{fragment: squashfs.NoFragment}})
			if err := d.lose(at, err); err != nil {
				return err
			}
		}
		d.files = append(d.files, at+1)
		return nil
	})
	if err != nil && d.tolerable(err) {
		d.out.Unreadable = append(d.out.Unreadable, Unreadable{last, err})
		return nil
	}
	return err
}

// addPlace gives the index of a new place, of the last entry.
func (d *deriver) addPlace(p place) uint32 {
	p.entry = uint32(d.out.Recipe.Entries.Len() - 1)
	d.out.places = append(d.out.places, p)
	return uint32(len(d.out.places) - 1)
}

// locate finds the place of a file.
func (d *deriver) locate(n *squashfs.Node) (uint32, error) {
	blockSize := int64(d.out.Recipe.BlockSize)
	if d.blocks += n.Size/blockSize + 1; d.blocks > blocksMax {
		return 0, corrupt("more than %d blocks of %d bytes in all", blocksMax, blockSize)
	}
	p := place{data: n.Data(), tail: tail{fragment: squashfs.NoFragment}}
	if index, offset, ok := d.image.Fragment(n); ok {
		p.tail = tail{uint32(index), uint32(offset), uint32(n.Size % blockSize)}
	}
	if p.small(int(blockSize)) {
		return known(d, d.byTail, p.tail, p), nil
	}
	key, err := d.dataKey(n, &p)
	if err != nil {
		return 0, err
	}
	return known(d, d.byData, key, p), nil
}

// known gives the index of the place with a key: a new one when there is none.
func known[K comparable](d *deriver, places map[K]uint32, key K, p place) uint32 {
	at, ok := places[key]
	if !ok {
		at = d.addPlace(p)
		places[key] = at
	}
	return at
}

// dataKey names a file by the number of its bytes and by where they lie.
func (d *deriver) dataKey(n *squashfs.Node, p *place) (chunkstore.ID, error) {
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
			return chunkstore.ID{}, err
		}
		kind := byte('p')
		if b.Compressed {
			kind = 'c'
		}
		note(kind, b.Offset, int64(b.Length))
	}
	if p.hasTail() {
		note('t', int64(p.tail.fragment), int64(p.tail.offset))
	}
	return d.hasher.ID(), nil
}

// tolerable reports whether the options permit to go on after an error.
func (d *deriver) tolerable(err error) bool {
	return d.options.Tolerant && !errors.Is(err, context.Canceled) &&
		!errors.Is(err, context.DeadlineExceeded)
}

// lose notes that the content of place at cannot be read, or returns the error if that is not
// tolerable.
func (d *deriver) lose(at uint32, err error) error {
	err = fmt.Errorf("/%s: %w", d.out.path(&d.out.places[at]), err)
	if !d.tolerable(err) {
		return err
	}
	d.losing.Lock()
	defer d.losing.Unlock()
	d.lost[at] = err
	return nil
}
