package tree

import (
	"fmt"

	"deltaup/mkimage/squashfs"
)

// putLink enters a hard link.
func (x *tarIndex) putLink(name, target string) error {
	clean, err := cleanName(target)
	if err != nil {
		return fmt.Errorf("hard link %s: %w", show(name), err)
	}
	if name == "" {
		return fmt.Errorf("%w: the root is no folder", ErrMalformed)
	}
	i, found := x.lookup(clean)
	if found && clean == name {
		return nil // already so
	}
	e, d := Entry{Path: name, Link: clean}, data{}
	if found && x.entries[i].Type != 0 {
		if e, d, err = x.another(name, i); err != nil {
			return err
		}
		return x.put(e, d)
	}
	if err := x.put(e, d); err != nil {
		return err
	}
	x.pending = append(x.pending, x.names[name])
	return nil
}

// another makes a further name of entry i.
func (x *tarIndex) another(name string, i int) (Entry, data, error) {
	if x.entries[i].Type == squashfs.Directory {
		return Entry{}, data{}, fmt.Errorf("%w: hard link %s leads to the folder %s", ErrMalformed, show(name), show(x.entries[i].Path))
	}
	if x.data[i].group == groupNone {
		x.groups++
		x.data[i].group = x.groups
	}
	e := x.entries[i]
	e.Path = name
	return e, x.data[i], nil
}

// resolve gives the hard links that came before their targets what they lead to.
func (x *tarIndex) resolve() error {
	following := make(map[int]bool)
	for _, i := range x.pending {
		if now, ok := x.lookup(x.entries[i].Path); !ok || now != i {
			continue // replaced
		}
		var chain []int
		at := i
		for x.entries[at].Type == 0 {
			next, ok := x.lookup(x.entries[at].Link)
			if !ok || following[at] {
				return fmt.Errorf("%w: hard link %s leads to %s, which is missing",
					ErrMalformed, show(x.entries[at].Path), show(x.entries[at].Link))
			}
			following[at] = true
			chain = append(chain, at)
			at = next
		}
		for _, l := range chain {
			e, d, err := x.another(x.entries[l].Path, at)
			if err != nil {
				return err
			}
			x.entries[l], x.data[l] = e, d
		}
	}
	return nil
}
