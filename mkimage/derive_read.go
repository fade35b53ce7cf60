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
	// both lists are in path order
	names := known.Entries.paths.walk()
	more := names.next()
	for i, path := range d.out.Recipe.Entries.paths.all() {
		for more && tree.Compare(names.path, path) < 0 {
			more = names.next()
		}
		if !more {
			return
		}
		if d.files[i] == 0 || !bytes.Equal(names.path, path) {
			continue
		}
		p := &d.out.places[d.files[i]-1]
		c := known.Entries.Content(names.index)
		if int(p.entry) == i && c != nil && c.Size == p.data.Size() &&
			(d.options.Unlisted || !unlisted(c)) {
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
	places   []uint32
}

func (d *deriver) tasks(p *progress) ([]*task, error) {
	var tasks []*task
	blocks := make(map[int]*task)
	for n := range d.out.places {
		at, pl := uint32(n), &d.out.places[n]
		if pl.content != nil || d.lost[at] != nil {
			continue
		}
		p.total += pl.data.Size()
		if !pl.small(d.out.Recipe.BlockSize) {
			tasks = append(tasks,
				&task{fragment: -1, position: pl.data.Start(), places: []uint32{at}})
			continue
		}
		fragment := int(pl.tail.fragment)
		t := blocks[fragment]
		if t == nil {
			b, err := d.image.FragmentBlock(fragment)
			if err != nil {
				if err := d.lose(at, err); err != nil {
					return nil, err
				}
				continue
			}
			t = &task{fragment: fragment, position: b.Offset}
			blocks[fragment] = t
			tasks = append(tasks, t)
		}
		t.places = append(t.places, at)
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
func (r *placeReader) file(ctx context.Context, at uint32) error {
	f, err := r.d.image.File(r.d.out.node(&r.d.out.places[at]))
	if err != nil {
		return r.d.lose(at, err)
	}
	return r.split(ctx, at, io.NewSectionReader(f, 0, f.Size()))
}

// fragment decompresses a fragment block once and reads all small files in it.
func (r *placeReader) fragment(ctx context.Context, t *task) error {
	b, err := r.d.image.FragmentBlock(t.fragment)
	if err == nil {
		r.plain, err = r.d.image.ReadBlock(b, r.plain[:0])
	}
	for _, at := range t.places {
		err := err
		tail := &r.d.out.places[at].tail
		if end := int(tail.offset) + int(tail.size); err == nil && end > len(r.plain) {
			err = corrupt("its tail ends at %d in a fragment block of %d bytes", end, len(r.plain))
		}
		if err != nil {
			err = r.d.lose(at, err)
		} else {
			err = r.split(ctx, at, bytes.NewReader(r.plain[tail.offset:][:tail.size]))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *placeReader) split(ctx context.Context, at uint32, in io.Reader) error {
	p := &r.d.out.places[at]
	c, err := r.splitter.Split(r.progress.reader(ctx, in), nil)
	if err == nil && c.Size != p.data.Size() {
		err = corrupt("%d bytes instead of %d", c.Size, p.data.Size())
	}
	if err != nil {
		return r.d.lose(at, err)
	}
	p.content = &c
	return nil
}

// fill gives the entries their contents. Entries with the same bytes share one. It drops files that
// could not be read, with their hard links.
func (d *deriver) fill() {
	var filled Entries
	lost := make(map[string]error)
	for i, e := range d.out.Recipe.Entries.All() {
		err := lost[e.Link]
		switch {
		case e.Link != "" || e.Type != tree.Regular:
		case e.Size == 0:
			e.Content = emptyContent
		default:
			e.Content, err = d.contentOf(d.files[i] - 1)
		}
		if err != nil {
			lost[e.Path] = err
			d.out.Unreadable = append(d.out.Unreadable, Unreadable{e.Path, err})
			continue
		}
		if at := d.files[i]; at > 0 {
			if p := &d.out.places[at-1]; int(p.entry) == i {
				p.entry = uint32(filled.Len())
			}
		}
		filled.Append(e)
	}
	d.out.Recipe.Entries = filled
}

// contentOf gives the content at a place: one and the same for all places with the same bytes.
func (d *deriver) contentOf(at uint32) (*chunkstore.Content, error) {
	if err := d.lost[at]; err != nil {
		return nil, err
	}
	c := d.out.places[at].content
	if known := d.out.placeOf(c.ID); known != nil {
		return known.content, nil
	}
	d.out.indexPlace(at)
	return c, nil
}

// indexFragments enters the fragment blocks that consist of whole contents without gaps.
func (d *Derived) indexFragments() {
	blockSize := d.Recipe.BlockSize
	members := make(map[int][]*place)
	for i := range d.places {
		p := &d.places[i]
		if p.content != nil && p.small(blockSize) && d.placeOf(p.content.ID) == p {
			members[int(p.tail.fragment)] = append(members[int(p.tail.fragment)], p)
		}
	}
	d.fragments = make(map[chunkstore.ID]int, len(members))
	for index, places := range members {
		slices.SortFunc(places, func(a, b *place) int { return cmp.Compare(a.tail.offset, b.tail.offset) })
		ids := make([]chunkstore.ID, len(places))
		end := 0
		for i, p := range places {
			if int(p.tail.offset) != end {
				ids = nil
				break
			}
			ids[i] = p.content.ID
			end += int(p.data.Size())
		}
		if ids != nil {
			d.fragments[KeyOf(ids)] = index
		}
	}
}

// recoverOrder sets First from the order of the contents in the image. The trailer says how many
// paths First has.
func (d *deriver) recoverOrder(t Trailer) {
	r := d.out.Recipe
	var members []*place
	position := make(map[*place]int64)
	for c := range r.Contents() {
		if !hasData(c) {
			continue
		}
		p := d.out.placeOf(c.ID)
		if position[p] = p.data.Start(); p.small(r.BlockSize) {
			b, err := d.image.FragmentBlock(int(p.tail.fragment))
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
		return cmp.Or(cmp.Compare(position[a], position[b]), cmp.Compare(a.tail.offset, b.tail.offset))
	})
	r.Codec = t.Codec
	for _, p := range members[:t.First] {
		r.First = append(r.First, r.Entries.firstPath(p.content))
	}
}
