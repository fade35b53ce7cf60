package mkimage

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"slices"

	"deltaup/chunkstore"
	"deltaup/mkimage/tree"
)

// believe gives places the contents that the known recipe has for their files.
func (d *deriver) believe() {
	known := d.options.Known
	if known == nil || known.Chunking != d.out.Recipe.Chunking {
		return
	}
	contents := make(map[string]*chunkstore.Content)
	for i := range known.Entries {
		if e := &known.Entries[i]; e.Type == tree.Regular && e.Link == "" &&
			e.Size > 0 && (d.options.Unlisted || !unlisted(e.Content)) {
			contents[e.Path] = e.Content
		}
	}
	for _, p := range d.places {
		if c := contents[p.node.Path]; c != nil && c.Size == p.node.Size {
			p.content = c
		}
	}
}

// readAll reads every content that is not known once, in the order of the image. It reads the
// contents of one fragment block together.
func (d *deriver) readAll(ctx context.Context) error {
	p := newProgress(d.options.Progress)
	tasks, err := d.tasks(p)
	if err != nil {
		return err
	}
	return each(ctx, len(tasks), func() func(context.Context, int) error {
		r := placeReader{d: d, splitter: chunkstore.NewSplitter(d.out.Recipe.Chunking), progress: p}
		return func(ctx context.Context, i int) error {
			if t := tasks[i]; t.fragment >= 0 {
				return r.fragment(ctx, t)
			}
			return r.file(ctx, tasks[i].places[0])
		}
	})
}

// task is what one goroutine reads at a time: one file, or the small files of one fragment block.
type task struct {
	fragment int // -1: one file
	position int64
	places   []*place
}

func (d *deriver) tasks(p *progress) ([]*task, error) {
	var tasks []*task
	blocks := make(map[int]*task)
	for _, pl := range d.places {
		if pl.content != nil {
			continue
		}
		p.total += pl.node.Size
		if !pl.small(d.out.Recipe.BlockSize) {
			tasks = append(tasks, &task{fragment: -1, position: pl.start, places: []*place{pl}})
			continue
		}
		t := blocks[pl.fragment]
		if t == nil {
			b, err := d.image.FragmentBlock(pl.fragment)
			if err != nil {
				if err := d.lose(pl, err); err != nil {
					return nil, err
				}
				continue
			}
			t = &task{fragment: pl.fragment, position: b.Offset}
			blocks[pl.fragment] = t
			tasks = append(tasks, t)
		}
		t.places = append(t.places, pl)
	}
	slices.SortStableFunc(tasks,
		func(a, b *task) int { return cmp.Compare(a.position, b.position) })
	return tasks, nil
}

// placeReader fills in the contents of places. One goroutine uses it.
type placeReader struct {
	d        *deriver
	splitter *chunkstore.Splitter
	progress *progress
	plain    []byte // buffer for a fragment block
}

// file reads one file by itself.
func (r *placeReader) file(ctx context.Context, p *place) error {
	f, err := r.d.image.File(p.node)
	if err != nil {
		return r.d.lose(p, err)
	}
	return r.split(ctx, p, io.NewSectionReader(f, 0, f.Size()))
}

// fragment decompresses a fragment block once and reads all small files in it.
func (r *placeReader) fragment(ctx context.Context, t *task) error {
	b, err := r.d.image.FragmentBlock(t.fragment)
	if err == nil {
		r.plain, err = r.d.image.ReadBlock(b, r.plain[:0])
	}
	for _, p := range t.places {
		err := err
		if end := p.offset + int(p.node.Size); err == nil && end > len(r.plain) {
			err = corrupt("its tail ends at %d in a fragment block of %d bytes", end, len(r.plain))
		}
		if err != nil {
			err = r.d.lose(p, err)
		} else {
			err = r.split(ctx, p, bytes.NewReader(r.plain[p.offset:][:p.node.Size]))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *placeReader) split(ctx context.Context, p *place, in io.Reader) error {
	c, err := r.splitter.Split(r.progress.reader(ctx, in), nil)
	if err == nil && c.Size != p.node.Size {
		err = corrupt("%d bytes instead of %d", c.Size, p.node.Size)
	}
	if err != nil {
		return r.d.lose(p, err)
	}
	p.content = &c
	return nil
}

// fill gives the entries their contents. Entries with the same bytes share one. It drops files that
// could not be read, with their hard links.
func (d *deriver) fill() {
	r := d.out.Recipe
	d.out.places = make(map[chunkstore.ID]*place)
	lost := make(map[string]error)
	kept := r.Entries[:0]
	for i, e := range r.Entries {
		err := lost[e.Link]
		switch {
		case e.Link != "" || e.Type != tree.Regular:
		case e.Size == 0:
			e.Content = emptyContent
		default:
			e.Content, err = d.contentOf(d.files[i])
		}
		if err != nil {
			lost[e.Path] = err
			d.out.Unreadable = append(d.out.Unreadable, Unreadable{e.Path, err})
			continue
		}
		kept = append(kept, e)
	}
	clear(r.Entries[len(kept):])
	r.Entries = kept
}

// contentOf gives the content at a place: one and the same for all places with the same bytes.
func (d *deriver) contentOf(p *place) (*chunkstore.Content, error) {
	if p.err != nil {
		return nil, p.err
	}
	known := d.out.places[p.content.ID]
	if known == nil {
		d.out.places[p.content.ID] = p
		known = p
	}
	return known.content, nil
}

// indexFragments enters the fragment blocks that consist of whole contents without gaps.
func (d *deriver) indexFragments() {
	blockSize := d.out.Recipe.BlockSize
	members := make(map[int][]*place)
	for _, p := range d.out.places {
		if p.small(blockSize) {
			members[p.fragment] = append(members[p.fragment], p)
		}
	}
	d.out.fragments = make(map[chunkstore.ID]int, len(members))
	for index, places := range members {
		slices.SortFunc(places, func(a, b *place) int { return cmp.Compare(a.offset, b.offset) })
		ids := make([]chunkstore.ID, len(places))
		end := 0
		for i, p := range places {
			if p.offset != end {
				ids = nil
				break
			}
			ids[i] = p.content.ID
			end += int(p.node.Size)
		}
		if ids != nil {
			d.out.fragments[KeyOf(ids)] = index
		}
	}
}

// recoverOrder sets First from the order of the contents in the image. The trailer says how many
// paths First has.
func (d *deriver) recoverOrder(t Trailer) {
	r := d.out.Recipe
	var members []*place
	position := make(map[*place]int64)
	names := make(map[*chunkstore.Content]string)
	for c, path := range r.firstPaths() {
		names[c] = path
		if !hasData(c) {
			continue
		}
		p := d.out.places[c.ID]
		if position[p] = p.start; p.small(r.BlockSize) {
			b, err := d.image.FragmentBlock(p.fragment)
			if err != nil {
				// It was readable a moment ago. Without a codec nobody builds from the recipe.
				return
			}
			position[p] = b.Offset
		}
		members = append(members, p)
	}
	if t.First > len(members) {
		return // the trailer is not this image's
	}
	slices.SortFunc(members, func(a, b *place) int {
		return cmp.Or(cmp.Compare(position[a], position[b]), cmp.Compare(a.offset, b.offset))
	})
	r.Codec = t.Codec
	for _, p := range members[:t.First] {
		r.First = append(r.First, names[p.content])
	}
}
