package patchset

import (
	"fmt"
	"slices"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

const (
	recipePathMax  = 64 << 10  // bytes of one path, as in package mkimage
	recipePathsMax = 128 << 20 // bytes of all paths after renames
)

// recipeReader applies a recipe's patch.
type recipeReader struct {
	in   *columnReader
	head *Head
	*ledger
	size    int64 // bytes of all new contents
	lacking bool  // from has contents with unknown chunk lists
	missed  bool  // the patch refers to one of them
}

// readRecipe applies the patch in the columns to from. The result is valid except for the ids and
// chunk lists of pending contents, and those that from lacks: these are stand-ins and nil. It
// shares contents with from.
func (h *Head) readRecipe(in *columnReader, from *mkimage.Recipe) (
	to *mkimage.Recipe, renamed map[string]string, err error) {
	to = new(mkimage.Recipe)
	r := &recipeReader{in: in, head: h, ledger: newLedger(from, to)}
	r.lacking = slices.ContainsFunc(r.contents, unlisted)
	entries, first := r.header()
	renames := r.renames()
	if err := in.err(0, recipeColumns); err != nil {
		return nil, nil, err
	}
	list, renamed, err := r.patterns(renames)
	if err != nil {
		return nil, nil, err
	}
	r.entries(list, entries)
	r.order(first)
	if r.missed {
		return nil, nil, ErrPending
	}
	if err := in.end(0, recipeColumns); err != nil {
		return nil, nil, err
	}
	// Validate with made-up chunk lists in place of unknown ones, which make these contents have
	// data.
	unknown := unlistedOf(to)
	for _, c := range unknown {
		n := min(c.Size, int64(max(1, to.Chunking.Max)))
		c.Chunks = []chunkstore.Chunk{{ID: c.ID, Size: n}}
		if n < c.Size {
			c.Chunks = append(c.Chunks, chunkstore.Chunk{Size: c.Size - n})
		}
	}
	err = to.Validate()
	for _, c := range unknown {
		c.Chunks = nil
	}
	return to, renamed, err
}

func (r *recipeReader) header() (entries, first int) {
	in := &r.in[colHeader]
	r.to.BlockSize = in.length(mkimage.BlockSizeMax)
	r.to.Codec = in.text()
	r.to.ModTime = uint32(in.size(1<<32 - 1))
	k := &r.to.Chunking
	for _, n := range []*int{&k.Min, &k.Average, &k.Max} {
		*n = in.length(chunkstore.ChunkMax)
	}
	entries = in.length(int64(len(r.in[colFlags].b)))
	first = in.length(int64(min(entries, len(r.in[colOrder].b))))
	return entries, first
}

func (r *recipeReader) renames() []rename {
	in := &r.in[colRenames]
	var list []rename
	for n := in.length(int64(len(in.b))); n > 0 && in.err == nil; n-- {
		list = append(list, rename{in.text(), in.text()})
	}
	return list
}

// patterns calls the function patterns unless the result would take too much memory.
func (r *recipeReader) patterns(renames []rename) ([]pattern, map[string]string, error) {
	grow, sum := 0, 0
	for _, n := range renames {
		grow = max(grow, len(n.new))
	}
	for _, e := range r.from.Entries.All() {
		sum += len(e.Path) + grow
	}
	if grow > recipePathMax || len(renames) > 0 && sum > recipePathsMax {
		return nil, nil, fmt.Errorf("%w: the renamed paths are too long", chunkstore.ErrCorrupt)
	}
	list, renamed := patterns(r.from, renames)
	r.renamed = renamed
	return list, renamed, nil
}

// entries reads count entries.
func (r *recipeReader) entries(list []pattern, count int) {
	steps := &r.in[colSteps]
	path := ""
	for steps.err == nil && r.in.err(colPaths, colOrder) == nil {
		for kept := steps.length(int64(len(list))); kept > 0; kept-- {
			path = r.pathOf(&list[0])
			r.entry(&list[0], path)
			list = list[1:]
		}
		if r.to.Entries.Len() >= count {
			break
		}
		switch steps.below(stepDelete + 1) {
		case stepDelete:
			if len(list) == 0 {
				steps.fail("nothing is left to delete")
				break
			}
			list = list[1:]
		case stepInsert:
			path = r.path(path)
			r.entry(nil, path)
		}
	}
	if n := r.to.Entries.Len(); n != count {
		steps.fail("%d entries instead of %d", n, count)
	}
}

// path reads the path of a new entry. before is the path of the entry before it.
func (r *recipeReader) path(before string) string {
	in := &r.in[colPaths]
	shared := in.length(int64(len(before)))
	rest := in.text()
	if shared+len(rest) > recipePathMax {
		in.fail("a path of %d bytes", shared+len(rest))
	}
	if in.err != nil {
		return ""
	}
	return before[:shared] + rest
}

// entry reads the next entry, unless there has been an error.
func (r *recipeReader) entry(p *pattern, path string) {
	e := r.expect(p)
	flags := r.in[colFlags].byte()
	if flags >= flagsEnd {
		r.in[colFlags].fail("flags %#x", flags)
	}
	if flags&flagLink != 0 {
		e.Link = r.in[colTexts].text()
	}
	if e.Link != "" {
		first, ok := r.to.Entries.Find(e.Link)
		var inode mkimage.Entry
		if ok {
			inode = r.to.Entries.At(first)
		}
		if !ok || inode.Link != "" || flags&^flagLink != 0 {
			r.in[colTexts].fail(
				"a hard link to %.200q, which is not the first name of an inode above",
				e.Link,
			)
			return
		}
		e = mkimage.Entry{
			Entry: tree.Entry{Attr: inode.Attr, Path: path, Size: inode.Size, Link: e.Link},
		}
	} else {
		r.inode(flags, &e)
		e.Path = path
	}
	r.told(p, &e)
	r.to.Entries.Append(e)
}

// inode reads into e what differs from it, as flags say.
func (r *recipeReader) inode(flags byte, e *mkimage.Entry) {
	if flags&flagAttr != 0 {
		in := &r.in[colAttrs]
		e.Type = tree.Type(in.length(int64(tree.Socket)))
		e.Mode = uint16(in.length(0o7777))
		for _, n := range []*uint32{&e.UID, &e.GID, &e.Major, &e.Minor} {
			*n = uint32(in.size(1<<32 - 1))
		}
	}
	if flags&flagTime != 0 {
		e.ModTime = uint32(int64(r.last.ModTime) + r.in[colTimes].signed())
	}
	texts := &r.in[colTexts]
	if flags&flagTarget != 0 {
		e.Target = texts.text()
	}
	if flags&flagXattrs != 0 {
		e.Xattrs = nil
		for n := texts.length(int64(len(texts.b))); n > 0 && texts.err == nil; n-- {
			e.Xattrs = append(e.Xattrs,
				tree.Xattr{Name: texts.text(), Value: []byte(texts.text())})
		}
	}
	if flags&flagContent != 0 {
		e.Content = r.content(e.Content)
	}
	e.Size = 0
	if e.Type != tree.Regular {
		e.Content = nil
	} else if e.Content != nil {
		e.Size = e.Content.Size
	}
}

func (r *recipeReader) order(count int) {
	in := &r.in[colOrder]
	place := make(map[string]int)
	for i, p := range r.from.First {
		place[r.ledger.path(p)] = i
	}
	next := 0
	for ; count > 0 && in.err == nil; count-- {
		v := in.length(int64(r.to.Entries.Len()))
		path := ""
		switch {
		case v > 0:
			path = r.to.Entries.At(v - 1).Path
		case next < len(r.from.First):
			path = r.ledger.path(r.from.First[next])
		default:
			in.fail("the old order has no more paths")
			return
		}
		r.to.First = append(r.to.First, path)
		if i, ok := place[path]; ok {
			next = i + 1
		}
	}
}
