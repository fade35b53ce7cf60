package tarball

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Writer writes an archive in the pax format, the same bytes for the same entries.
type Writer struct {
	w    io.Writer
	time time.Time
}

// NewWriter writes to w. All entries get the time.
func NewWriter(w io.Writer, t time.Time) *Writer { return &Writer{w, t} }

// Add appends an entry, with its content when it is a file.
func (w *Writer) Add(e *Entry, content []byte) error {
	if e.Type != File {
		content = nil
	}
	name := e.Name
	if e.Type == Folder {
		name += "/"
	}
	var records []byte
	if len(name) > nameLength {
		records = appendRecord(records, "path", name)
	}
	if len(e.Target) > nameLength {
		records = appendRecord(records, "linkpath", e.Target)
	}
	for _, n := range []struct {
		key   string
		value uint32
	}{{"uid", e.UID}, {"gid", e.GID}} {
		if n.value > 0o7777777 {
			records = appendRecord(records, n.key, strconv.FormatUint(uint64(n.value), 10))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(e.Xattrs)) {
		records = appendRecord(records, xattrKey+key, e.Xattrs[key])
	}
	if records != nil {
		head := Entry{Name: "pax/" + name, Type: paxNext, Mode: 0o600}
		if err := w.write(&head, records); err != nil {
			return err
		}
	}
	head := *e
	head.Name = name
	return w.write(&head, content)
}

// Close writes the end of the archive.
func (w *Writer) Close() error {
	_, err := w.w.Write(make([]byte, 2*blockSize))
	return err
}

func (w *Writer) write(e *Entry, content []byte) error {
	if int64(len(content)) > 0o77777777777 {
		return fmt.Errorf("%q: too large for a tar archive", e.Name)
	}
	h := make([]byte, blockSize, 2*blockSize)
	copy(h[:nameLength], e.Name)
	octal := func(at, digits int, n int64) {
		copy(h[at:], fmt.Sprintf("%0*o", digits, n))
	}
	octal(atMode, 7, int64(e.Mode))
	octal(atUID, 7, int64(e.UID&0o7777777))
	octal(atGID, 7, int64(e.GID&0o7777777))
	octal(atSize, 11, int64(len(content)))
	octal(atTime, 11, max(w.time.Unix(), 0))
	h[atType] = byte(e.Type)
	copy(h[atTarget:atTarget+nameLength], e.Target)
	copy(h[atMagic:], "ustar\x0000")
	octal(atChecksum, 6, checksum(h))
	h[atChecksum+7] = ' '
	if _, err := w.w.Write(h); err != nil {
		return err
	}
	if _, err := w.w.Write(content); err != nil {
		return err
	}
	_, err := w.w.Write(make([]byte, -len(content)&(blockSize-1)))
	return err
}

// appendRecord appends a pax record, whose length counts its own digits.
func appendRecord(b []byte, key, value string) []byte {
	rest := len(key) + len(value) + 3 // space, =, line feed
	n := rest + len(strconv.Itoa(rest))
	n = rest + len(strconv.Itoa(n))
	return fmt.Appendf(b, "%d %s=%s\n", n, key, value)
}
