package apk

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Fields of folders, files and their attributes, by their places.
const (
	folderName  = 1
	folderACL   = 2
	folderFiles = 3

	fileName   = 1
	fileACL    = 2
	fileSize   = 3
	fileTime   = 4
	fileHash   = 5
	fileTarget = 6

	aclMode   = 1
	aclUser   = 2
	aclGroup  = 3
	aclXattrs = 4
)

// Types of files in what a target begins with, as in st_mode.
const (
	modeFIFO    = 0x1000
	modeChar    = 0x2000
	modeBlock   = 0x6000
	modeRegular = 0x8000 // a hard link
	modeSymlink = 0xa000
)

const xattrsMax = 100 // extended attributes of a file

// extraction writes the files of a package of the third generation to an archive. The contents lie
// behind the database, in the files' order.
type extraction struct {
	*blocks
	o    *Options
	kind uint32 // of the block that has begun
	end  bool   // there is no block any more
}

func (x *extraction) all(w *tar.Writer, paths list) error {
	for i := range paths.n() {
		folder, err := paths.list(i + 1)
		if err != nil {
			return err
		}
		if err := x.folder(w, folder, i+1); err != nil {
			return err
		}
	}
	if !x.end {
		return fmt.Errorf("%w: %w", ErrMalformed, errBlock)
	}
	return nil
}

func (x *extraction) folder(w *tar.Writer, folder list, place int) error {
	var dir string
	if err := folder.text(folderName, &dir); err != nil {
		return err
	}
	if strings.HasPrefix(dir, "/") || strings.ContainsRune(dir, 0) {
		return fmt.Errorf("%w: the folder %.200q", ErrMalformed, dir)
	}
	if dir != "" {
		h := &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/"}
		if x.o.Clamp != nil {
			h.ModTime = modTime(uint64(*x.o.Clamp)) // a package has no times of folders
		} else {
			h.ModTime = modTime(0)
		}
		if err := x.attributes(h, folder, folderACL); err != nil {
			return err
		}
		if err := x.o.header(w, h); err != nil {
			return err
		}
		dir += "/"
	}
	files, err := folder.list(folderFiles)
	if err != nil {
		return err
	}
	for i := range files.n() {
		f, err := files.list(i + 1)
		if err == nil {
			err = x.file(w, f, dir, place, i+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *extraction) file(w *tar.Writer, f list, dir string, folder, place int) error {
	var name string
	if err := f.text(fileName, &name); err != nil {
		return err
	}
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%w: the file %.200q", ErrMalformed, name)
	}
	seconds, err := f.number(fileTime)
	if err != nil {
		return err
	}
	h := &tar.Header{Typeflag: tar.TypeReg, Name: dir + name, ModTime: modTime(seconds)}
	if err := x.attributes(h, f, fileACL); err != nil {
		return err
	}
	target, err := f.blob(fileTarget)
	if err != nil {
		return err
	}
	if target != nil {
		if err := special(h, target); err != nil {
			return fmt.Errorf("%.200q: %w", h.Name, err)
		}
		return x.o.header(w, h)
	}
	return x.content(w, h, f, folder, place)
}

// content writes a regular file.
func (x *extraction) content(w *tar.Writer, h *tar.Header, f list, folder, place int) error {
	size, err := f.number(fileSize)
	if err != nil {
		return err
	}
	want, err := f.blob(fileHash)
	if err != nil {
		return err
	}
	sum, err := newHash(len(want))
	if err != nil {
		return err
	}
	if h.Size = int64(size); h.Size < 0 {
		return fmt.Errorf("%w: %.200q has %d bytes", ErrMalformed, h.Name, size)
	}
	var body io.Reader = strings.NewReader("")
	if size > 0 {
		if err := x.begin(folder, place, h.Size); err != nil {
			return err
		}
		body = x.blocks
	}
	if err := x.o.header(w, h); err != nil {
		return err
	}
	if _, err := io.Copy(io.MultiWriter(w, sum), body); err != nil {
		return short(err)
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return fmt.Errorf("%w: %.200q has the hash %x, the package says %x", ErrMalformed, h.Name,
			sum.Sum(nil), want)
	}
	if size == 0 {
		return nil
	}
	x.kind, _, err = x.next()
	if x.end = err == io.EOF; x.end {
		err = nil
	}
	return err
}

// begin reads the places with which a content begins.
func (x *extraction) begin(folder, place int, size int64) error {
	if x.end || x.kind != blockData || x.left-8 != size {
		return fmt.Errorf("%w: %w", ErrMalformed, errBlock)
	}
	var places [8]byte
	if _, err := io.ReadFull(x.blocks, places[:]); err != nil {
		return short(err)
	}
	if binary.LittleEndian.Uint32(places[:]) != uint32(folder) ||
		binary.LittleEndian.Uint32(places[4:]) != uint32(place) {
		return fmt.Errorf("%w: %w", ErrMalformed, errBlock)
	}
	return nil
}

// attributes reads mode, owner and extended attributes.
func (x *extraction) attributes(h *tar.Header, of list, place int) error {
	acl, err := of.list(place)
	if err != nil {
		return err
	}
	mode, err := acl.number(aclMode)
	if err != nil {
		return err
	}
	if mode > 0o7777 {
		return fmt.Errorf("%w: %.200q has the mode %o", ErrMalformed, h.Name, mode)
	}
	h.Mode, h.Uid, h.Gid = int64(mode), -1, -1 // a name must give the numbers
	if err := acl.text(aclUser, &h.Uname); err != nil {
		return err
	}
	if err := acl.text(aclGroup, &h.Gname); err != nil {
		return err
	}
	xattrs, err := acl.list(aclXattrs)
	if err != nil {
		return err
	}
	if xattrs.n() > xattrsMax {
		return fmt.Errorf("%w: %.200q has %d extended attributes", ErrMalformed, h.Name, xattrs.n())
	}
	for i := range xattrs.n() {
		b, err := xattrs.blob(i + 1)
		if err != nil {
			return err
		}
		name, v, ok := strings.Cut(string(b), "\x00")
		if !ok || name == "" || strings.Contains(name, "=") {
			return fmt.Errorf("%w: an extended attribute of %.200q", ErrMalformed, h.Name)
		}
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+name] = v
	}
	return nil
}

// special makes the header of a link or device.
func special(h *tar.Header, target []byte) error {
	if len(target) < 2 {
		return fmt.Errorf("%w: a target of %d bytes", ErrMalformed, len(target))
	}
	mode, rest := binary.LittleEndian.Uint16(target), target[2:]
	switch mode {
	case modeSymlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, string(rest)
		return nil
	case modeRegular:
		h.Typeflag, h.Linkname = tar.TypeLink, string(rest)
		return nil
	case modeFIFO:
		h.Typeflag = tar.TypeFifo
	case modeChar:
		h.Typeflag = tar.TypeChar
	case modeBlock:
		h.Typeflag = tar.TypeBlock
	default:
		return fmt.Errorf("%w: a file of the type %#o", ErrMalformed, mode)
	}
	if len(rest) != 8 {
		return fmt.Errorf("%w: a device of %d bytes", ErrMalformed, len(rest))
	}
	// as Linux numbers devices
	d := binary.LittleEndian.Uint64(rest)
	h.Devmajor = int64(d>>8&0xfff | d>>32&^0xfff)
	h.Devminor = int64(d&0xff | d>>12&^0xff&0xffffffff)
	return nil
}
