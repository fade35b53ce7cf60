package kernel

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/internal/spool"
	"deltaup/mkimage/internal/unpack"
)

// Options says how a kernel is taken apart. The zero value is usable.
type Options struct {
	// Chunking should be that of the image beside the kernel, so that both share chunks. Zero is
	// chunkstore.DefaultParams.
	Chunking chunkstore.Params
	Spool    Spool // gets the contents; nil: there is no source of contents, and no codec
	// Keep tells whether the source shall have a content; nil: it has all. Other contents take room
	// in the spool only until the next content.
	Keep func(c *chunkstore.Content) bool
	// Seed says that only the contents are wanted: the recipe has no codec, which takes longest to
	// find, and there may be none that makes the kernel again.
	Seed bool
	// Whole says that the kernel, of whatever format, is to be one content, the payload: the image
	// beside it has that content.
	Whole bool
}

// Spool keeps unpacked contents. An *os.File is one.
type Spool = spool.Spool

// NewRecipe takes the kernel apart that r reads. It gives the recipe, from which Build makes the
// same kernel, and a source of the contents, which reads o.Spool. What the source opens is an
// io.ReaderAt too. Without o.Seed NewRecipe has the compressed payload in memory. Errors wrap
// ErrUnsupported, and perhaps ErrForeign, when the kernel cannot be taken apart, or are those of r,
// ctx and o.Spool.
func NewRecipe(ctx context.Context, r io.Reader, o Options) (*Recipe, mkimage.Source, error) {
	recipe := &Recipe{Chunking: o.Chunking}
	if recipe.Chunking == (chunkstore.Params{}) {
		recipe.Chunking = chunkstore.DefaultParams
	}
	if err := recipe.Chunking.Validate(); err != nil {
		return nil, nil, fmt.Errorf("make kernel recipe: %w", err)
	}
	in := spool.NewCaller(ctx, r)
	t := &taking{
		ctx:    ctx,
		in:     bufio.NewReaderSize(in, unpack.BufferSize),
		recipe: recipe,
		taker:  spool.NewTaker(recipe.Chunking, o.Spool, o.Keep),
		find:   !o.Seed && o.Spool != nil,
	}
	err := t.kernel(o.Whole)
	switch {
	case ctx.Err() != nil:
		return nil, nil, fmt.Errorf("make kernel recipe: %w", ctx.Err())
	case in.Err() != nil:
		return nil, nil, fmt.Errorf("make kernel recipe: %w", in.Err())
	case t.taker.Err() != nil:
		return nil, nil, fmt.Errorf("make kernel recipe: spool: %w", t.taker.Err())
	case t.finding != nil:
		return nil, nil, fmt.Errorf("make kernel recipe: spool: %w", t.finding)
	// an error of a decoder, or the kernel ends too early
	case err != nil && !errors.Is(err, ErrUnsupported):
		return nil, nil, fmt.Errorf("make kernel recipe: %w: %v", ErrUnsupported, err)
	case err != nil:
		return nil, nil, fmt.Errorf("make kernel recipe: %w", err)
	}
	return recipe, t.taker.Source(), nil
}

// Verify takes apart the kernel that in reads and compares its contents with those of r. It returns
// an error that wraps mkimage.ErrContent when they differ. It does not check that the codec of r
// makes the compressed payload.
func (r *Recipe) Verify(ctx context.Context, in io.Reader) error {
	other, _, err := NewRecipe(ctx, in, Options{Chunking: r.Chunking, Seed: true, Whole: r.whole()})
	if err != nil {
		return err
	}
	other.Codec = r.Codec
	var want, got bytes.Buffer
	if _, err := r.WriteTo(&want); err != nil {
		return err
	}
	if _, err := other.WriteTo(&got); err != nil {
		return err
	}
	if !bytes.Equal(want.Bytes(), got.Bytes()) {
		return fmt.Errorf("verify kernel: %w", mkimage.ErrContent)
	}
	return nil
}

// taking is a kernel that is being taken apart.
type taking struct {
	ctx    context.Context
	in     *bufio.Reader // the file
	recipe *Recipe
	taker  *spool.Taker
	find   bool // the codec is wanted

	layout  layout
	family  family
	room    *bufio.Reader // what the payload is in, of in
	seen    bytes.Buffer  // with find: what was read into room
	finding error         // of reading the spool
}

func (t *taking) kernel(whole bool) error {
	head, err := t.in.Peek(headMax)
	if err != nil && err != io.EOF {
		return err
	}
	if t.layout = plainLayout; !whole {
		if t.layout, err = recognise(head); err != nil {
			return err
		}
		if t.stepped() {
			t.layout = plainLayout
		}
	}
	before := io.MultiReader(io.LimitReader(t.in, t.layout.offset), &late{open: t.openRoom})
	if t.recipe.Before, err = t.content(before); err != nil {
		return err
	}
	if err := t.payload(); err != nil {
		return err
	}
	t.recipe.Behind, err = t.content(io.MultiReader(t.room, t.in))
	return err
}

// stepped tells whether the kernel is one content, since its payload is made by a step from that of
// another one. For that patch sets need the file as it is.
func (t *taking) stepped() bool {
	if !t.layout.x86 || t.layout.offset > unpack.BufferSize-int64(len(xzMagic)) {
		return false
	}
	head, err := t.in.Peek(int(t.layout.offset) + len(xzMagic))
	if err != nil {
		return false
	}
	begin := head[t.layout.offset:]
	return bytes.HasPrefix(begin, []byte(zstdMagic)) || bytes.HasPrefix(begin, []byte(xzMagic))
}

// content takes a content, which is nil when it is empty.
func (t *taking) content(r io.Reader) (*chunkstore.Content, error) {
	limited := &io.LimitedReader{R: r, N: contentMax + 1}
	c, err := t.taker.Content(limited)
	if err != nil {
		return nil, err
	}
	if limited.N == 0 {
		return nil, unsupported("a part of more than %d bytes", contentMax)
	}
	if c.Size == 0 {
		return nil, nil
	}
	return c, nil
}

// openRoom finds out how the payload is compressed, once all before its room is read. It gives what
// lies between there and the stream.
func (t *taking) openRoom() (io.Reader, error) {
	room := io.LimitReader(t.in, t.layout.length)
	if t.find && !t.layout.plain {
		room = io.TeeReader(room, &t.seen)
	}
	t.room = bufio.NewReaderSize(room, unpack.BufferSize)
	if t.layout.plain {
		t.family = familyNone
		return bytes.NewReader(nil), nil
	}
	head, err := t.room.Peek(unpack.BufferSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if t.family, err = familyOf(head); err != nil {
		return nil, err
	}
	n := 0
	if t.family == familyGzip {
		n, err = gzipHeader(head)
	}
	return io.LimitReader(t.room, int64(n)), err
}

// payload takes the payload, and looks for the codec.
func (t *taking) payload() error {
	start := t.position()
	stream, err := t.family.open(t.room)
	if err != nil {
		return err
	}
	plain := bufio.NewReaderSize(stream, imageHead)
	if t.layout.image {
		if head, _ := plain.Peek(imageHead); !isImage(head) {
			return unsupported("what it has compressed is no kernel")
		}
	}
	if t.recipe.Payload, err = t.content(plain); err != nil {
		return err
	}
	switch {
	case t.recipe.Payload == nil:
		return unsupported("its payload is empty")
	case t.find && t.layout.plain:
		t.recipe.Codec = codecs[0].id
	case t.find:
		return t.findCodec(t.seen.Bytes()[start:t.position()])
	}
	return nil
}

// position gives how many bytes of room were taken, when those seen are kept.
func (t *taking) position() int { return t.seen.Len() - t.room.Buffered() }

func (t *taking) findCodec(stream []byte) error {
	payload := func() io.Reader { return t.taker.Last(t.recipe.Payload) }
	var err error
	t.recipe.Codec, err = findCodec(t.ctx, t.family, stream, payload)
	if err != nil && !errors.Is(err, ErrUnsupported) {
		t.finding = err
	}
	return err
}

// late is a reader that is opened when it is first read.
type late struct {
	open func() (io.Reader, error)
	r    io.Reader
}

func (l *late) Read(p []byte) (int, error) {
	if l.r == nil {
		r, err := l.open()
		if err != nil {
			return 0, err
		}
		l.r = r
	}
	return l.r.Read(p)
}
