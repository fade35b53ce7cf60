package mkimage

import (
	"fmt"
	"math"
	"math/bits"
	"strings"

	"deltaup/chunkstore"
	"deltaup/mkimage/internal/recipetext"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

const (
	// blocksMax bounds the number of data blocks of all contents, with holes, because Build keeps
	// four bytes for each: 2 TiB of contents at the default block size.
	blocksMax = 1 << 24

	pathMax = 64 << 10 // bytes of one path
)

// entryError says what is wrong with one entry.
type entryError struct {
	index int // in Recipe.Entries
	path  string
	err   error
}

func (e *entryError) Error() string { return fmt.Sprintf("entry /%.200s: %v", e.path, e.err) }
func (e *entryError) Unwrap() error { return e.err }

// Validate reports the first thing that is wrong with r. Its errors wrap chunkstore.ErrCorrupt. A
// codec that this program does not know is valid, see [KnownCodec].
func (r *Recipe) Validate() error { return r.validate(false) }

// validate is Validate. With unknown set, contents may have unknown chunks.
func (r *Recipe) validate(unknown bool) error {
	if bits.OnesCount(uint(r.BlockSize)) != 1 || r.BlockSize < squashfs.BlockSizeMin ||
		r.BlockSize > squashfs.BlockSizeMax {
		return corrupt("block size %d is no power of two from %d to %d", r.BlockSize,
			squashfs.BlockSizeMin, squashfs.BlockSizeMax)
	}
	if err := recipetext.CheckParameters(r.Codec, r.Chunking); err != nil {
		return err
	}
	v := validator{
		recipe:   r,
		unknown:  unknown,
		contents: recipetext.NewContentCheck(r.Chunking),
		owners:   make(map[uint32]bool),
	}
	for i, e := range r.Entries.All() {
		if i == 0 && (e.Path != "" || e.Type != tree.Directory) {
			break
		}
		if err := v.entry(i, &e); err != nil {
			return &entryError{i, e.Path, err}
		}
		v.last = e.Path
	}
	if v.folders == nil {
		return corrupt("the first entry is not the root folder")
	}
	return v.first()
}

// checkWritable refuses what images that are read may have and squashfs.Writer does not write. It
// would refuse only after all data.
func (r *Recipe) checkWritable() error {
	for i, e := range r.Entries.All() {
		if _, name := splitPath(e.Path); len(name) > squashfs.WriteNameMax {
			return &entryError{i, e.Path, fmt.Errorf("a file name of %d bytes, at most %d are written",
				len(name), squashfs.WriteNameMax)}
		}
		if len(e.Target) > squashfs.WriteTargetMax {
			return &entryError{i, e.Path, fmt.Errorf("a link target of %d bytes, at most %d are written",
				len(e.Target), squashfs.WriteTargetMax)}
		}
	}
	return nil
}

type validator struct {
	recipe   *Recipe
	unknown  bool     // contents may lack their chunks
	last     string   // path of the entry before
	folders  []string // the last folder and those above it, the root first
	contents *recipetext.ContentCheck
	owners   map[uint32]bool
	bytes    int64 // of all distinct contents so far
	blocks   int64
}

func (v *validator) entry(i int, e *Entry) error {
	if i > 0 {
		if err := v.path(e.Path); err != nil {
			return err
		}
	}
	if e.Link != "" {
		return v.hardLink(i, e)
	}
	if e.Type == tree.Directory {
		v.folders = append(v.folders, e.Path)
	}
	if err := v.attr(e); err != nil {
		return err
	}
	if e.Type != tree.Regular {
		if e.Size != 0 || e.Content != nil {
			return corrupt("a content, and it is no regular file")
		}
		return nil
	}
	return v.content(e)
}

// path checks an entry's name and order, and that its folder is there.
func (v *validator) path(path string) error {
	if len(path) > pathMax {
		return corrupt("a path of %d bytes, at most %d are permitted", len(path), pathMax)
	}
	if strings.HasPrefix(path, "/") {
		return corrupt("an empty name")
	}
	parent, name := splitPath(path)
	if name == "" || name == "." || name == ".." || strings.IndexByte(name, 0) >= 0 ||
		len(name) > squashfs.NameMax {
		return corrupt("%.300q is no file name", name)
	}
	if tree.Compare(v.last, path) >= 0 {
		return corrupt("not in path order")
	}
	// in path order all in a folder comes right behind it
	for len(v.folders) > 0 && v.folders[len(v.folders)-1] != parent {
		v.folders = v.folders[:len(v.folders)-1]
	}
	if len(v.folders) == 0 {
		return corrupt("its folder is missing")
	}
	return nil
}

func (v *validator) hardLink(i int, e *Entry) error {
	at, ok := v.recipe.Entries.Find(e.Link)
	if !ok || at >= i {
		return corrupt("a hard link to %.200q, which does not come before it", e.Link)
	}
	first := v.recipe.Entries.At(at)
	if first.Link != "" || first.Type == tree.Directory || first.Type != e.Type ||
		e.Content != nil {
		return corrupt("a hard link to %.200q, which is not the first name of such an inode",
			e.Link)
	}
	return nil
}

func (v *validator) attr(e *Entry) error {
	if e.Type < tree.Directory || e.Type > tree.Socket || e.Mode > 0o7777 {
		return corrupt("type %d with mode %o", e.Type, e.Mode)
	}
	v.owners[e.UID] = true
	v.owners[e.GID] = true
	if len(v.owners) > squashfs.IDsMax {
		return corrupt("more than %d different owners and groups", squashfs.IDsMax)
	}
	if link := e.Type == tree.Symlink; link != (e.Target != "") ||
		len(e.Target) > squashfs.TargetMax || strings.IndexByte(e.Target, 0) >= 0 {
		return corrupt("a link target of %d bytes", len(e.Target))
	}
	device := e.Type == tree.BlockDevice || e.Type == tree.CharDevice
	if e.Major > squashfs.MajorMax || e.Minor > squashfs.MinorMax ||
		!device && e.Major|e.Minor != 0 {
		return corrupt("device number %d:%d", e.Major, e.Minor)
	}
	for i, x := range e.Xattrs {
		prefix, suffix, _ := strings.Cut(x.Name, ".")
		if prefix != "user" && prefix != "trusted" && prefix != "security" || suffix == "" ||
			len(x.Name) > squashfs.XattrNameMax || strings.IndexByte(x.Name, 0) >= 0 ||
			len(x.Value) > squashfs.XattrValueMax {
			return corrupt("xattr %.300q with %d bytes", x.Name, len(x.Value))
		}
		if i > 0 && e.Xattrs[i-1].Name >= x.Name {
			return corrupt("xattrs not in order of their names")
		}
	}
	return nil
}

// content checks a regular file's content, and its chunks at its first appearance.
func (v *validator) content(e *Entry) error {
	c := e.Content
	if c == nil || e.Size != c.Size || c.Size < 0 || c.ID.IsZero() {
		return corrupt("%d bytes, and its content has another size or none", e.Size)
	}
	if first, err := v.contents.First(c); !first {
		return err
	}
	blockSize := int64(v.recipe.BlockSize)
	if c.Size > math.MaxInt64-v.bytes-blockSize {
		return corrupt("the contents' sizes overflow")
	}
	v.bytes += c.Size
	v.blocks += (c.Size + blockSize - 1) / blockSize
	if v.blocks > blocksMax {
		return corrupt("more than %d blocks of %d bytes in all", blocksMax, blockSize)
	}
	if v.unknown && c.Chunks == nil {
		return nil
	}
	return v.contents.Chunks(c)
}

// first checks the paths in First.
func (v *validator) first() error {
	seen := make(map[*chunkstore.Content]bool)
	for _, path := range v.recipe.First {
		i, ok := v.recipe.Entries.Find(path)
		if !ok {
			return corrupt("order names /%.200s, which is not in the tree", path)
		}
		c := v.recipe.Entries.At(i).Content
		if c == nil || !hasData(c) || seen[c] {
			return corrupt("order names /%.200s, which has no data of its own", path)
		}
		seen[c] = true
	}
	return nil
}
