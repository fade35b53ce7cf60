package rootfs

import (
	"io"

	"deltaup/mkimage/tree"
)

// Filtered gives the part of a tree that a filter keeps, as when the tree were read with it. Closing
// the result closes t. Errors are about the filter's patterns.
func Filtered(t tree.Tree, f Filter) (tree.Tree, error) {
	patterns, err := newFilter(f)
	if err != nil {
		return nil, err
	}
	out := &filtered{Tree: t}
	entries := t.Entries()
	keep := kept(entries, patterns)
	first := map[string]string{} // first name of an inode in t: that in the result
	at := map[string]int{}       // first name in t: its index there
	for i := range entries {
		e := entries[i]
		name := e.Path // the inode's first name in t
		if e.Link != "" {
			name = e.Link
		} else {
			at[name] = i
		}
		if !keep[i] {
			continue
		}
		from := i
		if e.Type != tree.Directory {
			if link, ok := first[name]; ok {
				e.Link = link
			} else {
				e.Link, first[name], from = "", e.Path, at[name]
			}
		}
		out.entries, out.from = append(out.entries, e), append(out.from, from)
	}
	return out, nil
}

// kept tells which entries a filter keeps, with the folders above them.
func kept(entries []tree.Entry, f *filter) []bool {
	keep := make([]bool, len(entries))
	verdicts := make([]verdict, len(entries))
	parents := make([]int, len(entries))
	at := 0
	for i := range entries {
		if i == 0 {
			keep[0] = true // the root
			continue
		}
		for at != 0 && !below(entries[i].Path, entries[at].Path) {
			at = parents[at]
		}
		parents[i] = at
		verdicts[i] = f.judge(verdicts[at], entries[i].Path)
		if verdicts[i].keep() {
			for j := i; !keep[j]; j = parents[j] {
				keep[j] = true
			}
		}
		if entries[i].Type == tree.Directory {
			at = i
		}
	}
	return keep
}

// filtered is a part of a tree.
type filtered struct {
	tree.Tree
	entries []tree.Entry
	from    []int // index in the tree of each entry's content
}

func (t *filtered) Entries() []tree.Entry { return t.entries }

func (t *filtered) Open(i int) (io.ReadCloser, error) { return t.Tree.Open(t.from[i]) }
