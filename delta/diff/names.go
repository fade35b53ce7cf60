package diff

import (
	"slices"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

// Names counts the changes in the tree. From Added to Unchanged each name counts once, under the
// first that fits.
type Names struct {
	Total   int `json:"total"`   // names of the new release
	Added   int `json:"added"`   // names that only the new release has
	Removed int `json:"removed"` // names that only the old release has
	// the type of file, content, link target or device number differs
	Content   int `json:"content"`
	Owner     int `json:"owner"`     // the owner, mode or extended attributes differ
	Times     int `json:"times"`     // only the time stamp differs
	Unchanged int `json:"unchanged"` // nothing differs

	Renamed int `json:"renamed"` // added names whose content the old release has too
	// contents of both releases whose place in the order of the data differs
	Moved int `json:"moved"`
	// plain bytes of unchanged contents in blocks that the old image lacks
	Repacked int64 `json:"repacked"`

	TimesExample string `json:"times_example,omitempty"` // one of the names that Times counts
	OwnerExample string `json:"owner_example,omitempty"`
}

// compareNames compares the two trees name by name.
func (c *comparison) compareNames() {
	n := &c.report.Names
	old := map[string]*mkimage.Entry{}
	contents := map[chunkstore.ID]bool{}
	for _, e := range c.from.Recipe.Entries.All() {
		old[e.Path] = &e
		if e.Content != nil && e.Size > 0 {
			contents[e.Content.ID] = true
		}
	}
	common := 0
	for _, e := range c.to.Recipe.Entries.All() {
		n.Total++
		o := old[e.Path]
		if o == nil {
			n.Added++
			if e.Content != nil && contents[e.Content.ID] {
				n.Renamed++
			}
			continue
		}
		common++
		n.count(o, &e)
	}
	n.Removed = len(old) - common
	c.compareOrder()
}

// count counts a name that both releases have, as o in the old one and e in the new one.
func (n *Names) count(o, e *mkimage.Entry) {
	switch {
	case o.Type != e.Type || o.Link != e.Link || !sameBytes(o, e) || o.Target != e.Target ||
		o.Major != e.Major || o.Minor != e.Minor:
		n.Content++
	case o.UID != e.UID || o.GID != e.GID || o.Mode != e.Mode ||
		!slices.EqualFunc(o.Xattrs, e.Xattrs, sameXattr):
		n.Owner++
		if n.OwnerExample == "" {
			n.OwnerExample = e.Path
		}
	case o.ModTime != e.ModTime:
		n.Times++
		if n.TimesExample == "" {
			n.TimesExample = e.Path
		}
	default:
		n.Unchanged++
	}
}

func sameXattr(a, b tree.Xattr) bool {
	return a.Name == b.Name && string(a.Value) == string(b.Value)
}

func sameBytes(o, e *mkimage.Entry) bool {
	if o.Content == nil || e.Content == nil {
		return o.Content == e.Content
	}
	return o.Content.ID == e.Content.ID
}

// compareOrder counts contents that changed places, and the bytes of blocks that changed with them.
func (c *comparison) compareOrder() {
	place := map[chunkstore.ID]int{}
	for i, content := range c.from.Recipe.DataOrder() {
		place[content.ID] = i
	}
	var places []int // places in the old order of the contents of both releases, in the new order
	for _, content := range c.to.Recipe.DataOrder() {
		if i, ok := place[content.ID]; ok {
			places = append(places, i)
		}
	}
	c.report.Names.Moved = len(places) - longestRise(places)

	from, to := c.from.Recipe, c.to.Recipe
	stored := map[chunkstore.ID]bool{}
	if from.Codec == to.Codec && to.Codec != "" && from.BlockSize == to.BlockSize {
		for _, s := range from.Layout() {
			stored[s.Key()] = true
		}
	}
	for _, s := range to.Layout() {
		if stored[s.Key()] {
			continue
		}
		for _, content := range s.Contents {
			if _, ok := place[content.ID]; ok {
				c.report.Names.Repacked += content.Size
			}
		}
	}
}

// longestRise is the length of the longest rising subsequence.
func longestRise(list []int) int {
	var ends []int // by length: the smallest end of a rising subsequence
	for _, v := range list {
		i, _ := slices.BinarySearch(ends, v)
		if i == len(ends) {
			ends = append(ends, v)
		} else {
			ends[i] = v
		}
	}
	return len(ends)
}
