package mkimage

import (
	"encoding/binary"

	"deltaup/chunkstore"
)

// item is one part of an image's data area: the data blocks of one content, or one fragment block.
type item struct {
	members  []member // in the order of their bytes; exactly one unless fragment is set
	fragment bool
}

// member is a content in an item.
type member struct {
	content *chunkstore.Content
	number  uint32 // of the content in the recipe's entries
	rank    uint32 // its place in the order of rankContents
}

// planLayout decides the order of all contents in the image. It needs the recipe alone, and reads
// no content.
//
// The contents of r.First come first, in that order; the others follow in path order. A content of
// at least a block has its own item. A smaller one joins a fragment block, which lies at the rank
// of its first member. So large contents and fragment blocks each keep the order, and a recipe with
// the resulting order as First has the same layout.
func planLayout(r *Recipe) []item {
	members, hot := rankContents(r)
	p := packer{entries: &r.Entries, blockSize: int64(r.BlockSize)}
	var large []item
	for i, m := range members {
		if i == hot {
			p.flush() // hot and cold contents do not share a block
		}
		if m.content.Size < int64(r.BlockSize) {
			p.add(m)
		} else {
			large = append(large, item{members: []member{m}})
		}
	}
	p.flush()
	return mergeItems(large, p.closed)
}

// rankContents gives all contents with data, those of r.First first and the others in path order.
// hot is the number of those of r.First.
func rankContents(r *Recipe) (members []member, hot int) {
	wanted := make(map[*chunkstore.Content]int, len(r.First))
	for _, path := range r.First {
		i, ok := r.Entries.Find(path)
		if !ok {
			continue
		}
		c := r.Entries.Content(i)
		if _, ok := wanted[c]; c == nil || ok || !hasData(c) {
			continue
		}
		wanted[c] = len(wanted)
	}
	hot = len(wanted)
	members = make([]member, hot, len(r.Entries.contents))
	for n, c := range r.Entries.contents {
		if !hasData(c) {
			continue
		}
		m := member{content: c, number: uint32(n)}
		if i, ok := wanted[c]; ok {
			m.rank = uint32(i)
			members[i] = m
			continue
		}
		m.rank = uint32(len(members))
		members = append(members, m)
	}
	return members, hot
}

// mergeItems merges two lists, each in the order of its first members' ranks.
func mergeItems(a, b []item) []item {
	merged := make([]item, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].members[0].rank < b[0].members[0].rank {
			merged, a = append(merged, a[0]), a[1:]
		} else {
			merged, b = append(merged, b[0]), b[1:]
		}
	}
	return append(append(merged, a...), b...)
}

// A fragment block ends within its last 1/fragmentWindow. With a larger window two images have the
// same boundaries again sooner after a change; a smaller one fills blocks better. On two releases
// of Debian a window of 1/2 leaves blocks 73 % full, 1/3 78 %, 1/4 80 %, and no window 83 %. With
// 1/4 and less the loss of compression is below 0.1 %.
const fragmentWindow = 4

// packer collects small contents into fragment blocks. Where a block ends depends on the paths in
// it, not on how full it is: of the contents that end in the block's last quarter, it ends with the
// one whose path has the smallest hash. So when a content is added, removed or changes its size,
// the blocks after it soon begin and end with the same contents as before, and stay the same.
type packer struct {
	entries   *Entries // of the recipe
	blockSize int64
	open      []member
	size      int64 // bytes of open
	closed    []item
}

func (p *packer) add(m member) {
	for p.size+m.content.Size > p.blockSize {
		p.close(p.boundary())
	}
	p.open = append(p.open, m)
	p.size += m.content.Size
}

func (p *packer) flush() {
	if len(p.open) > 0 {
		p.close(len(p.open))
	}
}

// close makes a fragment block of the first n open members; n > 0.
func (p *packer) close(n int) {
	p.closed = append(p.closed, item{members: p.open[:n:n], fragment: true})
	for _, m := range p.open[:n] {
		p.size -= m.content.Size
	}
	p.open = p.open[n:]
}

// boundary tells how many of the open members go into the next block.
func (p *packer) boundary() int {
	var (
		end    int64
		best   uint64
		cut    int
		window = p.blockSize - p.blockSize/fragmentWindow
	)
	for i, m := range p.open {
		end += m.content.Size
		if end <= window {
			continue
		}
		if key := pathKey(p.entries.pathOf(m.number)); cut == 0 || key < best {
			best, cut = key, i+1
		}
	}
	if cut == 0 {
		return len(p.open)
	}
	return cut
}

// pathKey is a hash of a path.
func pathKey(path []byte) uint64 {
	sum := chunkstore.Sum(path)
	return binary.BigEndian.Uint64(sum[:8])
}
