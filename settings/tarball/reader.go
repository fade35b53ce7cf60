package tarball

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Reader reads an archive from its beginning to its end.
type Reader struct {
	r    io.Reader
	left int64 // bytes of the entry's content that were not read
	pad  int64 // that follow it
	err  error // of whoever reads on
}

// NewReader reads the plain archive r.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// extra is what headers before an entry's say of it.
type extra struct {
	name, target   string
	size, uid, gid int64 // -1: nothing
	xattrs         map[string]string
}

// Next goes to the next entry, whose content Read then gives. The error after the last is io.EOF;
// others wrap ErrFormat or ErrUnsupported, or are those of the reader below.
func (r *Reader) Next() (*Entry, error) {
	if r.err == nil {
		var e *Entry
		if e, r.err = r.next(); r.err == nil {
			return e, nil
		}
	}
	return nil, r.err
}

// Read reads the entry's content.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.r.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if err == io.EOF && r.left > 0 {
		err = fmt.Errorf("%w: it ends within a file", ErrFormat)
	} else if err == io.EOF {
		err = nil
	}
	r.err = err
	return n, err
}

func (r *Reader) next() (*Entry, error) {
	x := extra{size: -1, uid: -1, gid: -1}
	for {
		h, err := r.header()
		if err != nil {
			return nil, err
		}
		switch h[atType] {
		case gnuName:
			x.name, err = r.text(h)
		case gnuTarget:
			x.target, err = r.text(h)
		case paxNext:
			var records []byte
			if records, err = r.body(h, maxExtra); err == nil {
				err = x.parseRecords(records)
			}
		case paxGlobal: // comments of git archive
			_, err = r.body(h, maxExtra)
		default:
			return r.entry(h, &x)
		}
		if err != nil {
			return nil, err
		}
	}
}

// header gives the next header, past what is left of the entry before.
func (r *Reader) header() ([]byte, error) {
	if _, err := io.CopyN(io.Discard, r.r, r.left+r.pad); err != nil {
		return nil, short(err)
	}
	r.left, r.pad = 0, 0
	h := make([]byte, blockSize)
	if n, err := io.ReadFull(r.r, h); err != nil {
		if err == io.EOF && n == 0 {
			return nil, io.EOF // without the blocks of zeros that end it
		}
		return nil, short(err)
	}
	if bytes.Count(h, []byte{0}) == blockSize {
		return nil, io.EOF
	}
	sum, err := number(h[atChecksum : atChecksum+8])
	if err != nil || sum != checksum(h) {
		return nil, fmt.Errorf("%w: the checksum of a header is wrong", ErrFormat)
	}
	return h, nil
}

func short(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends too early", ErrFormat)
	}
	return err
}

// entry reads the header of a file itself.
func (r *Reader) entry(h []byte, x *extra) (*Entry, error) {
	e := &Entry{Name: field(h[:nameLength]), Target: field(h[atTarget : atTarget+nameLength])}
	// GNU's own format has other fields in the place of the prefix.
	if prefix := field(h[atPrefix:prefixEnd]); prefix != "" &&
		string(h[atMagic:atMagic+6]) == "ustar\x00" {
		e.Name = prefix + "/" + e.Name
	}
	if x.name != "" {
		e.Name = x.name
	}
	if x.target != "" {
		e.Target = x.target
	}
	e.Xattrs = x.xattrs
	if err := e.numbers(h, x); err != nil {
		return nil, fmt.Errorf("%q: %w", e.Name, err)
	}
	stored := e.Size // bytes that follow the header
	switch c := h[atType]; c {
	case '0', 0, '7':
		e.Type = File
		if strings.HasSuffix(e.Name, "/") { // as in v7
			e.Type = Folder
		}
	case '1', '2':
		// A link has no content, whatever its size says; one of a few writers stores it for hard
		// links in pax, which no backup of settings has.
		e.Type, stored = Kind(c), 0
	case '5':
		e.Type, stored = Folder, 0
	case '3', '4', '6':
		e.Type, stored = Other, 0
	case 'S', 'M', 'V', 'D', 'N':
		return nil, fmt.Errorf("%q: %w: entry of type %q", e.Name, ErrUnsupported, c)
	default:
		e.Type = Other
	}
	if e.Type != File {
		e.Size = 0
	}
	if e.Type != Link && e.Type != Hard {
		e.Target = ""
	}
	if e.Type == Folder {
		e.Name = strings.TrimRight(e.Name, "/")
	}
	if len(e.Name) > maxName || len(e.Target) > maxName {
		return nil, fmt.Errorf("%w: a name has more than %d bytes", ErrFormat, maxName)
	}
	r.hold(stored)
	return e, nil
}

// hold says how many bytes of content follow.
func (r *Reader) hold(size int64) {
	r.left, r.pad = size, -size&(blockSize-1)
}

func (e *Entry) numbers(h []byte, x *extra) error {
	mode, err := number(h[atMode : atMode+8])
	if err != nil {
		return err
	}
	e.Mode = uint32(mode) & 0o7777
	for _, f := range []struct {
		at, length int
		extra      int64
		most       int64
		to         func(int64)
	}{
		{atUID, 8, x.uid, math.MaxUint32, func(n int64) { e.UID = uint32(n) }},
		{atGID, 8, x.gid, math.MaxUint32, func(n int64) { e.GID = uint32(n) }},
		{atSize, 12, x.size, math.MaxInt64 - blockSize, func(n int64) { e.Size = n }},
	} {
		n := f.extra
		if n < 0 {
			if n, err = number(h[f.at : f.at+f.length]); err != nil {
				return err
			}
		}
		if n > f.most {
			return fmt.Errorf("%w: a number is too large", ErrFormat)
		}
		f.to(n)
	}
	return nil
}

// body reads the content of a header that belongs to the next entry.
func (r *Reader) body(h []byte, most int64) ([]byte, error) {
	size, err := number(h[atSize : atSize+12])
	if err != nil {
		return nil, err
	}
	if size > most {
		return nil, fmt.Errorf("%w: records of %d bytes", ErrFormat, size)
	}
	r.hold(0)
	b := make([]byte, size)
	if _, err := io.ReadFull(r.r, b); err != nil {
		return nil, short(err)
	}
	r.pad = -size & (blockSize - 1)
	return b, nil
}

// text reads a long name of GNU's format.
func (r *Reader) text(h []byte) (string, error) {
	b, err := r.body(h, maxName+1)
	return field(b), err
}

// parseRecords reads pax records: "LENGTH KEY=VALUE\n", the length that of all of it.
func (x *extra) parseRecords(b []byte) error {
	for len(b) > 0 {
		digits, _, ok := bytes.Cut(b[:min(len(b), 12)], []byte(" "))
		n, err := strconv.ParseUint(string(digits), 10, 31)
		if !ok || err != nil || int(n) > len(b) || int(n) < len(digits)+2 || b[n-1] != '\n' {
			return fmt.Errorf("%w: a pax record is wrong", ErrFormat)
		}
		key, value, ok := strings.Cut(string(b[len(digits)+1:n-1]), "=")
		if !ok {
			return fmt.Errorf("%w: a pax record is wrong", ErrFormat)
		}
		b = b[n:]
		if err := x.record(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (x *extra) record(key, value string) error {
	for _, f := range []struct {
		key string
		to  *int64
	}{{"size", &x.size}, {"uid", &x.uid}, {"gid", &x.gid}} {
		if key == f.key {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 {
				return fmt.Errorf("%w: pax record %s=%q", ErrFormat, key, value)
			}
			*f.to = n
		}
	}
	switch key {
	case "path":
		x.name = value
	case "linkpath":
		x.target = value
	}
	if strings.HasPrefix(key, "GNU.sparse.") {
		return fmt.Errorf("%w: sparse file", ErrUnsupported)
	}
	if name, ok := strings.CutPrefix(key, xattrKey); ok && name != "" {
		if x.xattrs == nil {
			x.xattrs = map[string]string{}
		}
		x.xattrs[name] = value
	}
	return nil
}

// field is the text up to the first zero byte.
func field(b []byte) string {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return string(b)
}

// number reads an octal number, or one of base 256, which GNU marks by the first bit.
func number(b []byte) (int64, error) {
	if b[0]&0x80 != 0 {
		n := int64(b[0] & 0x7f)
		for _, c := range b[1:] {
			if n > math.MaxInt64>>8 {
				return 0, fmt.Errorf("%w: a number is too large", ErrFormat)
			}
			n = n<<8 | int64(c)
		}
		return n, nil
	}
	s := strings.Trim(field(b), " ")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 8, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is no number", ErrFormat, s)
	}
	return int64(n), nil
}
