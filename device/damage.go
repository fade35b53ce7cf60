package device

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"deltaup/internal/medium"
	"deltaup/internal/plainfile"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// Bounds of what is remembered of a damage.
const (
	maxRanges = 64
	maxFiles  = 20
	// runs that cannot be read, after which reading ends: a disk takes its time over each
	maxUnreadable = 1024
	maxPlaces     = 1 << 16 // ranges of which the files are looked for
)

// Damage is what is wrong with a file of a slot.
type Damage struct {
	What   Scrubbed   `json:"what"`
	Path   string     `json:"path"`            // of the file or device
	Error  string     `json:"error,omitempty"` // why it was not read to its end
	Bytes  int64      `json:"bytes"`           // of all ranges; 0: only the whole is wrong
	Count  int        `json:"count"`           // of ranges
	Ranges []BadRange `json:"ranges,omitempty"`
	// Files is the first of what lies there of an image: absolute paths, or a part's name.
	Files []string `json:"files,omitempty"`

	failed int // runs that cannot be read
}

// BadRange is bytes that are wrong or cannot be read.
type BadRange struct {
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	Error  string `json:"error,omitempty"` // of reading; "": it gives other bytes
}

// any tells whether some place is damaged, or the file could not be read to its end.
func (d *Damage) any() bool { return d.Count > 0 || d.Error != "" }

// hopeless tells whether reading on is a waste of time.
func (d *Damage) hopeless() bool { return d.failed >= maxUnreadable }

// unreadable adds a run that cannot be read; they come in order.
func (d *Damage) unreadable(off, n int64, err error) {
	if n <= 0 {
		return
	}
	d.failed++
	var errno unix.Errno
	if errors.As(err, &errno) { // the path is told beside it
		err = errno
	}
	d.add(BadRange{off, n, err.Error()})
}

func (d *Damage) add(r BadRange) {
	d.Bytes += r.Length
	if last := len(d.Ranges) - 1; last >= 0 &&
		d.Ranges[last].Offset+d.Ranges[last].Length == r.Offset &&
		d.Ranges[last].Error == r.Error {
		d.Ranges[last].Length += r.Length
		return
	}
	d.Count++
	if len(d.Ranges) < maxPlaces {
		d.Ranges = append(d.Ranges, r)
	}
}

// compare adds the blocks that have other sums than before. A block with a part that cannot be read
// is there already.
func (d *Damage) compare(kept, now *sums) {
	unreadable := d.Ranges
	d.Ranges, d.Count, d.Bytes = nil, 0, 0
	told := int64(0)          // where the last that cannot be read ends
	next := func(end int64) { // adds what comes before end
		for len(unreadable) > 0 && unreadable[0].Offset < end {
			told = unreadable[0].Offset + unreadable[0].Length
			d.add(unreadable[0])
			unreadable = unreadable[1:]
		}
	}
	for i := range min(len(now.keys), len(kept.keys)) {
		off := int64(i) * sumBlock
		end := min(off+sumBlock, kept.size)
		next(end)
		if now.keys[i] != kept.keys[i] && told <= off && now.size >= end {
			d.add(BadRange{Offset: off, Length: end - off})
		}
	}
	next(kept.size)
}

// bound cuts the lists to what is remembered.
func (d *Damage) bound() {
	d.Ranges = d.Ranges[:min(len(d.Ranges), maxRanges)]
	d.Files = d.Files[:min(len(d.Files), maxFiles)]
}

// differs tells whether two images have other sums.
func (s *sums) differs(other *sums) bool {
	return s.size != other.size || !slices.Equal(s.keys, other.keys)
}

// String says it in a line.
func (d *Damage) String() string {
	switch {
	case d.Error != "":
		return fmt.Sprintf("%s: %s", d.What, d.Error)
	case len(d.Ranges) == 0:
		return string(d.What) + ": it is not what was installed"
	}
	text := fmt.Sprintf("%s: %d bytes at %d are wrong", d.What, d.Bytes, d.Ranges[0].Offset)
	if d.Count > 1 {
		text = fmt.Sprintf("%s: %d bytes at %d places are wrong, the first at %d", d.What, d.Bytes,
			d.Count, d.Ranges[0].Offset)
	}
	if err := d.Ranges[0].Error; err != "" {
		text += ": " + err
	}
	return text
}

// affected names what of an image lies in some ranges, which are in order: files, and parts such as
// its tables. When the tables themselves are damaged, it leaves out what they no longer tell.
func affected(path string, size int64, ranges []BadRange) (names []string) {
	if len(ranges) == 0 {
		return nil
	}
	hit := func(off, end int64) bool {
		i, _ := slices.BinarySearchFunc(ranges, off,
			func(r BadRange, off int64) int { return cmp.Compare(r.Offset+r.Length, off+1) })
		return off < end && i < len(ranges) && ranges[i].Offset < end
	}
	if hit(0, headSize) {
		names = append(names, "superblock")
	}
	f, image, _, err := openImage(path)
	if err != nil {
		return names
	}
	defer f.Close() // read only
	if image == nil {
		return names
	}
	info := image.Info()
	if hit(info.Tables, info.BytesUsed) {
		names = append(names, "tables")
	}
	if hit(info.BytesUsed, size) {
		names = append(names, "trailer or padding")
	}
	fragments := map[int]bool{}                   // those that were looked at
	_ = image.Walk(func(n *squashfs.Node) error { // as far as it can be read
		if n.Type == tree.Regular && len(names) < maxFiles && holds(image, n, hit, fragments) {
			names = append(names, "/"+n.Path)
		}
		return nil
	})
	return names
}

// headSize is what an image's superblock takes.
const headSize = 96

// holds tells whether a file has data in a place that hit knows.
func holds(image *squashfs.Image, n *squashfs.Node, hit func(off, end int64) bool,
	fragments map[int]bool) bool {
	for b, err := range image.Blocks(n) {
		if err == nil && hit(b.Offset, b.Offset+int64(b.Length)) {
			return true
		}
	}
	index, _, ok := image.Fragment(n)
	if !ok {
		return false
	}
	bad, known := fragments[index]
	if !known {
		b, err := image.FragmentBlock(index)
		bad = err == nil && hit(b.Offset, b.Offset+int64(b.Length))
		fragments[index] = bad
	}
	return bad
}

// openImage opens the image in a file or device of end bytes. The image is nil when there is none,
// or its superblock is damaged.
func openImage(path string) (f *os.File, image *squashfs.Image, end int64, err error) {
	if f, err = plainfile.OpenDevice(path); err != nil {
		return nil, nil, 0, err
	}
	if end, err = f.Seek(0, io.SeekEnd); err != nil {
		f.Close()
		return nil, nil, 0, err
	}
	if image, err = squashfs.Open(&medium.Salvage{R: f, Size: end}, end); err != nil {
		image = nil
	}
	return f, image, end, nil
}
