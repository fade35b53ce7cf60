package mkimage

import (
	"strconv"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// entryFields is how many fields follow the letter of each kind of line.
var entryFields = [...]int{
	squashfs.Directory:   5,
	squashfs.Regular:     7,
	squashfs.Symlink:     6,
	squashfs.BlockDevice: 7,
	squashfs.CharDevice:  7,
	squashfs.FIFO:        5,
	squashfs.Socket:      5,
}

// entry takes a line that begins an inode.
func (p *parser) entry(letter byte, fields []string) error {
	p.current = nil
	kind, ok := typeOf(letter)
	if !ok {
		return corrupt("unknown word %q", letter)
	}
	if len(fields) != entryFields[kind] {
		return corrupt("%d fields instead of %d", len(fields), entryFields[kind])
	}
	var n numbers
	mode, err := strconv.ParseUint(fields[0], 8, 12)
	if err != nil {
		return corrupt("%.40q is no mode", fields[0])
	}
	e := tree.Entry{Attr: squashfs.Attr{
		Type:    kind,
		Mode:    uint16(mode),
		UID:     uint32(n.parse(fields[1], 32)),
		GID:     uint32(n.parse(fields[2], 32)),
		ModTime: uint32(n.parse(fields[3], 32)),
	}}
	fields = fields[4:]

	var content *chunkstore.Content
	switch kind {
	case squashfs.Regular:
		e.Size = int64(n.parse(fields[0], 63))
		if content, err = p.content(e.Size, fields[1]); err != nil {
			return err
		}
		fields = fields[2:]
	case squashfs.BlockDevice, squashfs.CharDevice:
		e.Major = uint32(n.parse(fields[0], 32))
		e.Minor = uint32(n.parse(fields[1], 32))
		fields = fields[2:]
	}
	if n.err != nil {
		return n.err
	}
	if e.Path, err = parsePath(fields[0]); err != nil {
		return err
	}
	if kind == squashfs.Symlink {
		if e.Target, err = unescape(fields[1]); err != nil {
			return err
		}
	}
	return p.add(Entry{Entry: e, Content: content}, true)
}

// content finds or begins the content that a file's line names.
func (p *parser) content(size int64, id string) (*chunkstore.Content, error) {
	if size == 0 {
		return emptyContent, nil // "-" is checked by encoding the line again
	}
	parsed, err := chunkstore.ParseID(id)
	if err != nil || parsed.IsZero() {
		return nil, corrupt("%.80q is no content id", id)
	}
	if c := p.contents[parsed]; c != nil {
		return c, nil // its size is compared by Validate
	}
	c := &chunkstore.Content{ID: parsed, Size: size}
	c.Chunks = []chunkstore.Chunk{{ID: parsed, Size: size}} // until chunk lines say otherwise
	p.contents[parsed] = c
	p.current = c
	return c, nil
}

func (p *parser) hardLink(fields []string) error {
	if len(fields) != 2 {
		return corrupt("%d fields instead of 2", len(fields))
	}
	path, err := parsePath(fields[0])
	if err != nil {
		return err
	}
	first, err := parsePath(fields[1])
	if err != nil {
		return err
	}
	i, ok := p.paths[first]
	if !ok || p.recipe.Entries[i].Link != "" || first == "" {
		return corrupt("a hard link to %.200q, which is not the first name of an inode above", first)
	}
	p.current = nil
	return p.add(inodeOf(path, &p.recipe.Entries[i]), false)
}

// add appends an entry once its line proved to be spelled right.
func (p *parser) add(e Entry, attr bool) error {
	if err := p.same(appendEntry(p.again[:0], &e)); err != nil {
		return err
	}
	if _, ok := p.paths[e.Path]; ok {
		return corrupt("%.200q a second time", e.Path)
	}
	p.paths[e.Path] = len(p.recipe.Entries)
	p.recipe.Entries = append(p.recipe.Entries, e)
	p.lines = append(p.lines, p.number)
	p.attr = attr
	return nil
}

func (p *parser) xattr(fields []string) error {
	if !p.attr {
		return corrupt("an xattr that follows no entry")
	}
	if len(fields) != 2 {
		return corrupt("%d fields instead of 2", len(fields))
	}
	name, err := unescape(fields[0])
	if err != nil {
		return err
	}
	value, err := unescape(fields[1])
	if err != nil {
		return err
	}
	x := squashfs.Xattr{Name: name, Value: []byte(value)}
	e := &p.recipe.Entries[len(p.recipe.Entries)-1]
	e.Xattrs = append(e.Xattrs, x)
	return p.same(appendXattr(p.again[:0], x))
}

func (p *parser) chunk(fields []string) error {
	if p.current == nil {
		return corrupt("a chunk that follows no file with a new content")
	}
	if len(fields) != 2 {
		return corrupt("%d fields instead of 2", len(fields))
	}
	var n numbers
	c := chunkstore.Chunk{Size: int64(n.parse(fields[0], 63))}
	if n.err != nil {
		return n.err
	}
	if fields[1] != "-" {
		id, err := chunkstore.ParseID(fields[1])
		if err != nil || id.IsZero() {
			return corrupt("%.80q is no chunk id", fields[1])
		}
		c.ID = id
	}
	if p.attr {
		p.attr = false // the first chunk line
		p.current.Chunks = nil
	}
	p.current.Chunks = append(p.current.Chunks, c)
	if c.ID == p.current.ID {
		return corrupt("a chunk line that repeats its content's id")
	}
	return p.same(appendChunk(p.again[:0], c))
}
