package settings

import (
	"path"

	"deltaup/chunkstore"
	"deltaup/internal/human"
	"deltaup/settings/list"
	"deltaup/settings/merge"
)

// three is a path in its three versions. Gone: there is none.
type three struct {
	base, local, image *Entry
	options            list.Options
	merger             *merger

	local1, image1 bool // some part came from that side alone, or was taken from it in a conflict
	conflict       bool
	remarks        []string
}

// entry merges the three versions. The parts of files and folders merge independently: the mode, the
// owner, each attribute, the content.
func (t *three) entry() (Entry, error) {
	b, l, i := t.base, t.local, t.image
	switch {
	case l.same(b), l.same(i):
		return *i, nil
	case i.same(b):
		return *l, nil
	case l.Kind != i.Kind || l.Kind == Gone || l.Kind == Link:
		return *pick(t, nil, l, i), nil
	}
	same := b.Kind == l.Kind // else the base says nothing of the parts
	base := func(of *Entry) *Entry {
		if same {
			return of
		}
		return nil
	}
	e := *l
	b = base(b)
	e.Mode = part(t, b, l, i, func(e *Entry) uint32 { return e.Mode })
	owner := part(t, b, l, i, func(e *Entry) [2]uint32 { return [2]uint32{e.UID, e.GID} })
	e.UID, e.GID = owner[0], owner[1]
	e.Xattrs = t.xattrs(b, l, i)
	if e.Kind == Folder {
		return e, nil
	}
	type content struct {
		id   chunkstore.ID
		size int64
	}
	of := func(e *Entry) content { return content{e.Content, e.Size} }
	if b == nil || of(l) == of(i) || of(l) == of(b) || of(i) == of(b) {
		c := part(t, b, l, i, of)
		e.Content, e.Size = c.id, c.size
		return e, nil
	}
	merged, ok, err := t.contents()
	if err != nil {
		return e, err
	}
	if !ok {
		c := part(t, b, l, i, of)
		e.Content, e.Size = c.id, c.size
		return e, nil
	}
	t.local1, t.image1 = true, true
	e.Content, e.Size = merged, t.merger.sizes[merged]
	return e, nil
}

// part merges one part of an entry.
func part[T comparable](t *three, b, l, i *Entry, of func(*Entry) T) T {
	if b == nil {
		return *pick(t, nil, ptr(of(l)), ptr(of(i)))
	}
	return *pick(t, ptr(of(b)), ptr(of(l)), ptr(of(i)))
}

func ptr[T any](v T) *T { return &v }

// xattrs merges the attributes one by one.
func (t *three) xattrs(b, l, i *Entry) []Xattr {
	names := map[string]bool{}
	of := func(e *Entry, name string) string {
		for _, x := range e.Xattrs {
			if x.Name == name {
				return "=" + x.Value
			}
		}
		return "" // it has none
	}
	for _, e := range []*Entry{l, i} {
		for _, x := range e.Xattrs {
			names[x.Name] = true
		}
	}
	var merged []Xattr
	for name := range names {
		v := part(t, b, l, i, func(e *Entry) string { return of(e, name) })
		if v != "" {
			merged = append(merged, Xattr{name, v[1:]})
		}
	}
	sortBy(merged, xattrName)
	return merged
}

// pick merges values of which none is a mixture of others. A nil base says nothing.
func pick[T any](t *three, b, l, i *T) *T {
	equal := func(x, y *T) bool {
		if ex, ok := any(x).(*Entry); ok {
			return ex.same(any(y).(*Entry))
		}
		return any(*x) == any(*y)
	}
	switch {
	case equal(l, i):
		return l
	case b != nil && equal(l, b):
		t.image1 = true
		return i
	case b != nil && equal(i, b):
		t.local1 = true
		return l
	}
	t.conflict = true
	if t.options.Merge == list.Image {
		t.image1 = true
		return i
	}
	t.local1 = true
	return l
}

// taken says which side a conflict's result came from.
func (t *three) taken() string {
	switch {
	case t.local1 && t.image1:
		return TakenMerged
	case t.image1:
		return TakenImage
	}
	return takenLocal
}

// maxMerge bounds the bytes of a file that is merged by its content.
const maxMerge = maxBase

// contents merges the contents of a file that both sides changed, as its options say. It gives
// false when that is not possible, and remarks say why.
func (t *three) contents() (chunkstore.ID, bool, error) {
	none := chunkstore.ID{}
	if t.options.Merge != list.Lines && t.options.Merge != list.Users {
		return none, false, nil
	}
	if max(t.base.Size, t.local.Size, t.image.Size) > maxMerge {
		t.remark("it is too large to be merged by its content")
		return none, false, nil
	}
	var versions [3][]byte
	for n, e := range []*Entry{t.base, t.local, t.image} {
		p, err := t.merger.read(e)
		if lost(err) {
			t.remark("a version of it is missing: " + err.Error())
			return none, false, nil
		}
		if err != nil {
			return none, false, err
		}
		versions[n] = p
	}
	var merged []byte
	if t.options.Merge == list.Users {
		var remarks []string
		var err error
		merged, remarks, err = merge.Users(path.Base(t.local.Path), versions[0], versions[1], versions[2])
		if err != nil {
			t.remark(err.Error())
			return none, false, nil
		}
		for _, r := range remarks {
			t.merger.warn(t.local.Path + ": " + r)
		}
	} else {
		var ok bool
		if merged, ok = merge.Lines(versions[0], versions[1], versions[2]); !ok {
			t.remark("both sides changed the same lines, or lines side by side")
			return none, false, nil
		}
	}
	id, ok := t.merger.keep(merged)
	if !ok {
		t.remark("there is no memory to merge still more files")
	}
	return id, ok, nil
}

// remark adds a line for people to the conflict.
func (t *three) remark(text string) { t.remarks = append(t.remarks, oneLine(text)) }

// oneLine makes a remark of any text. Bytes that are no text become three.
func oneLine(text string) string { return human.Line(text, maxMessage/3-8) }

// merged gives the entry and, if there is one, the conflict.
func (t *three) merged() (Entry, *Conflict, error) {
	e, err := t.entry()
	if err != nil || !t.conflict {
		return e, nil, err
	}
	c := &Conflict{Taken: t.taken(), Base: *t.base, Local: *t.local, Image: *t.image, Remarks: t.remarks}
	c.Base.Default, c.Local.Default, c.Image.Default = chunkstore.ID{}, chunkstore.ID{}, chunkstore.ID{}
	return e, c, nil
}
