package mkimage

import (
	"encoding/binary"
	"iter"
	"strings"

	"deltaup/chunkstore"
	"deltaup/mkimage/tree"
)

// Entries is the list of a recipe's entries, in path order, the root first. It is packed, since a
// target has several of them in memory: an entry takes about 40 bytes, besides its content. A copy
// shares what the list holds; so only one of them may grow. Several goroutines may read a list. The
// zero value is empty.
type Entries struct {
	paths pathList
	// columns, parallel to paths
	attrs []uint32 // index in distinct
	times []uint32
	more  []uint32 // see rest

	distinct []attributes
	attrAt   map[attributes]uint32
	xattrs   [][]tree.Xattr // distinct, the first of them empty
	xattrAt  map[string]uint32
	links    []string // distinct, the first of them empty
	linkAt   map[string]uint32
	extras   []byte // what appendExtra appends

	contents  []*chunkstore.Content // distinct, in order of first appearance
	firsts    []uint32              // the first entry of each content
	contentAt chunkstore.Numbers    // indexes in contents
}

// attributes are those of an inode that many inodes share.
type attributes struct {
	kind     tree.Type
	mode     uint16
	uid, gid uint32
	xattrs   uint32 // index in xattrs
}

// The column more says where the rest of an entry is: nowhere when it is 0; else, by its lowest
// bit, the number of its content, or where its record begins in extras, plus one.
const (
	moreContent = 1
	moreShift   = 1
)

// PackEntries packs a list of entries.
func PackEntries(list ...Entry) (t Entries) {
	for _, e := range list {
		t.Append(e)
	}
	return t
}

// Len is the number of entries.
func (t *Entries) Len() int { return len(t.attrs) }

// At gives entry i. A walk by All is much quicker than one by At.
func (t *Entries) At(i int) Entry { return t.entry(i, string(t.paths.at(i, nil))) }

// Content is the content of entry i; nil: it has none.
func (t *Entries) Content(i int) *chunkstore.Content {
	switch more := t.more[i]; {
	case more == 0:
		return nil
	case more&moreContent != 0:
		return t.contents[more>>moreShift]
	}
	return t.entry(i, "").Content
}

// All gives the entries with their indexes.
func (t *Entries) All() iter.Seq2[int, Entry] {
	return func(yield func(int, Entry) bool) {
		for i, path := range t.paths.all() {
			if !yield(i, t.entry(i, string(path))) {
				return
			}
		}
	}
}

// Find gives the index of the entry with a path, in a list in path order.
func (t *Entries) Find(path string) (i int, ok bool) { return t.paths.find(path) }

// Contents gives the contents of the entries that are not empty, each once, in order of first
// appearance, with the index of the first entry that has it.
func (t *Entries) Contents() iter.Seq2[int, *chunkstore.Content] {
	return func(yield func(int, *chunkstore.Content) bool) {
		for n, c := range t.contents {
			if c.Size > 0 && !yield(int(t.firsts[n]), c) {
				return
			}
		}
	}
}

// FirstPaths gives the contents of Contents with the path of the first entry of each.
func (t *Entries) FirstPaths() iter.Seq2[*chunkstore.Content, string] {
	return func(yield func(*chunkstore.Content, string) bool) {
		n := 0
		for i, path := range t.paths.all() {
			if n == len(t.firsts) {
				return
			}
			if int(t.firsts[n]) != i {
				continue
			}
			c := t.contents[n]
			if n++; c.Size > 0 && !yield(c, string(path)) {
				return
			}
		}
	}
}

// Append adds an entry. It keeps nothing of e but its content. Nothing is checked: see
// [Recipe.Validate].
func (t *Entries) Append(e Entry) {
	i := t.Len()
	t.paths.append(e.Path)
	t.attrs = append(t.attrs, t.attributesOf(&e))
	t.times = append(t.times, e.ModTime)
	more := uint32(0)
	switch plain := e.Target == "" && e.Major|e.Minor == 0 && e.Link == ""; {
	case plain && e.Content != nil && e.Content.Size == e.Size:
		more = t.number(e.Content, i)<<moreShift | moreContent
	case plain && e.Content == nil && e.Size == 0:
	default:
		more = uint32(len(t.extras)+1) << moreShift
		t.extras = t.appendExtra(t.extras, &e, i)
	}
	t.more = append(t.more, more)
}

// find gives the index of a content in contents.
func (t *Entries) find(c *chunkstore.Content) (n uint32, ok bool) {
	return t.contentAt.Find(&c.ID, func(n uint32) bool { return t.contents[n] == c })
}

// firstPath gives the path of the first entry with a content that one has.
func (t *Entries) firstPath(c *chunkstore.Content) string {
	n, _ := t.find(c)
	return string(t.pathOf(n))
}

// pathOf gives the path of the first entry with content n.
func (t *Entries) pathOf(n uint32) []byte { return t.paths.at(int(t.firsts[n]), nil) }

// number gives the index of a content in contents, where it has i as its first entry if it is new.
func (t *Entries) number(c *chunkstore.Content, i int) uint32 {
	n, ok := t.find(c)
	if !ok {
		n = uint32(len(t.contents))
		t.contentAt.Add(n, &c.ID, func(n uint32) *chunkstore.ID { return &t.contents[n].ID })
		t.contents = append(t.contents, c)
		t.firsts = append(t.firsts, uint32(i))
	}
	return n
}

func (t *Entries) attributesOf(e *Entry) uint32 {
	key := attributes{kind: e.Type, mode: e.Mode, uid: e.UID, gid: e.GID, xattrs: t.xattrsOf(e)}
	n, ok := t.attrAt[key]
	if !ok {
		if t.attrAt == nil {
			t.attrAt = make(map[attributes]uint32)
		}
		n = uint32(len(t.distinct))
		t.distinct = append(t.distinct, key)
		t.attrAt[key] = n
	}
	return n
}

// xattrsOf gives the index of e's xattrs in xattrs.
func (t *Entries) xattrsOf(e *Entry) uint32 {
	if len(t.xattrs) == 0 {
		t.xattrs = append(t.xattrs, nil)
	}
	if len(e.Xattrs) == 0 {
		return 0
	}
	var key []byte
	for _, x := range e.Xattrs {
		key = appendCounted(appendCounted(key, x.Name), x.Value)
	}
	n, ok := t.xattrAt[string(key)]
	if !ok {
		if t.xattrAt == nil {
			t.xattrAt = make(map[string]uint32)
		}
		n = uint32(len(t.xattrs))
		t.xattrs = append(t.xattrs, e.Xattrs)
		t.xattrAt[string(key)] = n
	}
	return n
}

// appendExtra appends what few entries have, as varints and texts with their lengths.
func (t *Entries) appendExtra(b []byte, e *Entry, i int) []byte {
	content := uint64(0)
	if e.Content != nil {
		content = uint64(t.number(e.Content, i)) + 1
	}
	for _, n := range [...]uint64{content, uint64(e.Size), uint64(e.Major), uint64(e.Minor),
		uint64(t.linkOf(e.Link))} {
		b = binary.AppendUvarint(b, n)
	}
	return appendCounted(b, e.Target)
}

// linkOf gives the index of a path in links. Links may be long and many, and lead to few inodes.
func (t *Entries) linkOf(path string) uint32 {
	if len(t.links) == 0 {
		t.links = append(t.links, "")
		t.linkAt = map[string]uint32{"": 0}
	}
	n, ok := t.linkAt[path]
	if !ok {
		path = strings.Clone(path)
		n = uint32(len(t.links))
		t.links = append(t.links, path)
		t.linkAt[path] = n
	}
	return n
}

// entry gives entry i, whose path the caller knows.
func (t *Entries) entry(i int, path string) Entry {
	a := &t.distinct[t.attrs[i]]
	e := Entry{Entry: tree.Entry{
		Attr: tree.Attr{Type: a.kind, Mode: a.mode, UID: a.uid, GID: a.gid, ModTime: t.times[i],
			Xattrs: t.xattrs[a.xattrs]},
		Path: path,
	}}
	switch more := t.more[i]; {
	case more == 0:
	case more&moreContent != 0:
		e.Content = t.contents[more>>moreShift]
		e.Size = e.Content.Size
	default:
		t.extra(&e, t.extras[more>>moreShift-1:])
	}
	return e
}

// extra reads what appendExtra appended.
func (t *Entries) extra(e *Entry, b []byte) {
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		b = b[n:]
		return v
	}
	if n := number(); n > 0 {
		e.Content = t.contents[n-1]
	}
	e.Size, e.Major, e.Minor = int64(number()), uint32(number()), uint32(number())
	e.Link = t.links[number()]
	e.Target = string(b[:number()])
}

func appendCounted[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}
