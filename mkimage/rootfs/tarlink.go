package rootfs

import (
	"fmt"
	"path"

	"deltaup/mkimage/tree"
)

// placeLink puts a hard link in its place.
func (x *tarIndex) placeLink(to, target string) error {
	clean, err := cleanName(target)
	if err != nil {
		return x.place(to,
			&tarFile{data: data{fault: fmt.Errorf("hard link %s: %w", show(to), err)}})
	}
	f := x.find(clean)
	switch {
	case f == nil:
		f = &tarFile{Entry: tree.Entry{Link: clean}} // the target may come later
		x.pending = append(x.pending, pendingLink{f, to})
	case f.Type == tree.Directory:
		f = &tarFile{data: data{fault: linkToFolder(to, clean)}}
	default:
		x.share(f)
	}
	return x.place(to, f)
}

// pendingLink is a hard link that comes before its target, with its name.
type pendingLink struct {
	file *tarFile
	name string
}

// find gives the file at a clean path, or nil when there is none. It follows links except in the
// last name.
func (x *tarIndex) find(at string) *tarFile {
	if at == "" {
		return x.root.file
	}
	dir, err := x.walk(parentOf(at), at, false)
	if err != nil {
		return nil
	}
	if n := dir.children[path.Base(at)]; n != nil {
		return n.file
	}
	return nil
}

// share notes that a file has more than one name.
func (x *tarIndex) share(f *tarFile) {
	if f.group == groupNone {
		x.groups++
		f.group = x.groups
	}
}

// target gives the file for a hard link f that came before its target. name is a name of f.
func (x *tarIndex) target(f *tarFile, name string) (*tarFile, error) {
	var chain []*tarFile
	at := f
	for at.Type == 0 && at.fault == nil {
		if at.resolved != nil {
			at = at.resolved
			break
		}
		next := x.find(at.Link)
		if next == nil || at.resolving {
			return nil, fmt.Errorf("%w: hard link %s leads to %s, which is missing", ErrMalformed,
				show(name), show(at.Link))
		}
		if next.Type == tree.Directory {
			return nil, linkToFolder(name, at.Link)
		}
		at.resolving = true
		chain = append(chain, at)
		at = next
	}
	for _, link := range chain {
		link.resolved = at
	}
	if len(chain) > 0 {
		x.share(at)
	}
	return at, nil
}

func linkToFolder(name, target string) error {
	return fmt.Errorf("%w: hard link %s leads to the folder %s", ErrMalformed, show(name),
		show(target))
}
