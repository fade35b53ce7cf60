package rootfs

import "fmt"

// warnings says, in sentences with counts, what the entries that stay have lost.
func (c *collection) warnings() []string {
	var xattrs, early, late tally
	for i := range c.entries {
		e, d := &c.entries[i], &c.data[i]
		if e.Link != "" {
			continue
		}
		xattrs.add(int(d.droppedXattrs), e.Path)
		if d.early {
			early.add(1, e.Path)
		}
		if d.late {
			late.add(1, e.Path)
		}
	}
	var w []string
	w = xattrs.warn(
		w,
		"extended attributes left out that are not user., trusted. or security. (access control lists, say)",
	)
	w = early.warn(w, "modification times before 1970 became 0")
	w = late.warn(w, "modification times after 2106 became the latest possible")
	return w
}

// tally counts the entries that a warning is about, and remembers the first.
type tally struct {
	n     int
	first string
}

func (t *tally) add(n int, path string) {
	if t.n == 0 {
		t.first = path
	}
	t.n += n
}

func (t *tally) warn(w []string, what string) []string {
	if t.n == 0 {
		return w
	}
	return append(w, fmt.Sprintf("%d %s, first at %s", t.n, what, show("/"+t.first)))
}
