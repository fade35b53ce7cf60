package diff

import (
	"slices"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

// Names counts what changed in the tree. A name is counted once, under the first of these that
// fits, from top to bottom.
type Names struct {
	Total     int `json:"total"`     // names of the new release
	Added     int `json:"added"`     // of them, those that the old one lacks
	Removed   int `json:"removed"`   // names that only the old one has
	Content   int `json:"content"`   // another kind of file, content, link target or device number
	Owner     int `json:"owner"`     // another owner, mode or extended attributes
	Times     int `json:"times"`     // another time stamp and nothing else
	Unchanged int `json:"unchanged"` // nothing else

	Renamed  int   `json:"renamed"`  // added names whose content the old release has, too
	Moved    int   `json:"moved"`    // contents of both that are at another place in the order of the data
	Repacked int64 `json:"repacked"` // plain bytes of unchanged contents in blocks that the old image lacks

	TimesExample string `json:"times_example,omitempty"` // a name of Times
	OwnerExample string `json:"owner_example,omitempty"`
}

// compareNames holds the trees against each other.
func (c *comparison) compareNames() {
	n := &c.report.Names
	old := map[string]*mkimage.Entry{}
	contents := map[chunkstore.ID]bool{}
	for i := range c.from.Recipe.Entries {
		e := &c.from.Recipe.Entries[i]
		old[e.Path] = e
		if e.Content != nil && e.Size > 0 {
			contents[e.Content.ID] = true
		}
	}
	common := 0
	for i := range c.to.Recipe.Entries {
		e := &c.to.Recipe.Entries[i]
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
		n.count(o, e)
	}
	n.Removed = len(old) - common
	c.compareOrder()
}

// count counts a name that both releases have.
func (n *Names) count(o, e *mkimage.Entry) {
	switch {
	case o.Type != e.Type || o.Link != e.Link || !sameBytes(o, e) || o.Target != e.Target || o.Major != e.Major || o.Minor != e.Minor:
		n.Content++
	case o.UID != e.UID || o.GID != e.GID || o.Mode != e.Mode || !slices.EqualFunc(o.Xattrs, e.Xattrs, sameXattr):
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

// compareOrder counts contents that changed places and what that does to blocks.
func (c *comparison) compareOrder() {
	place := map[chunkstore.ID]int{}
	for i, content := range c.from.Recipe.DataOrder() {
		place[content.ID] = i
	}
	var places []int // in from, of the contents of both, in the order of to
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
	var ends []int // the smallest end of a rise of each length
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
