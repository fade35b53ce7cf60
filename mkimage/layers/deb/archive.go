package deb

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// archive reads the members of an ar archive in order, as deb(5) permits them.
type archive struct {
	r    io.Reader
	left int64 // bytes of the member before that were not read, with its padding
}

const (
	magic      = "!<arch>\n"
	headerSize = 60 // bytes: name 16, time 12, owner and group 6 each, mode 8, size 10, end 2
	membersMax = 64 // those that are passed over
)

func newArchive(r io.Reader) (*archive, error) {
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != magic {
		return nil, fmt.Errorf("%w: no package of Debian", ErrMalformed)
	}
	return &archive{r: r}, nil
}

// version reads the first member, which tells the format's version.
func (a *archive) version() error {
	name, size, err := a.header()
	if err == nil && (name != "debian-binary" || size > 64) {
		err = fmt.Errorf("%w: it begins with %q", ErrMalformed, name)
	}
	if err != nil {
		return err
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(a.r, text); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	a.left -= size
	if !bytes.HasPrefix(text, []byte("2.")) {
		return fmt.Errorf("%w: version %q of the format, this deltaup knows 2", ErrMalformed,
			strings.TrimSpace(string(text)))
	}
	return nil
}

// next gives the next member whose name begins with a prefix. Members whose names begin with an
// underscore are passed over.
func (a *archive) next(prefix string) (io.Reader, error) {
	for range membersMax {
		name, size, err := a.header()
		if err != nil {
			return nil, err
		}
		switch {
		case strings.HasPrefix(name, prefix):
			return &member{a, size}, nil
		case !strings.HasPrefix(name, "_"):
			return nil, fmt.Errorf("%w: it has %q where %s is due", ErrMalformed, name, prefix)
		}
	}
	return nil, fmt.Errorf("%w: too many members", ErrMalformed)
}

// header reads the header of the next member.
func (a *archive) header() (name string, size int64, err error) {
	if _, err := io.CopyN(io.Discard, a.r, a.left); err != nil {
		return "", 0, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(a.r, head); err != nil {
		return "", 0, fmt.Errorf("%w: it ends early", ErrMalformed)
	}
	size, err = strconv.ParseInt(strings.TrimSpace(string(head[48:58])), 10, 64)
	if err != nil || size < 0 || string(head[58:]) != "`\n" {
		return "", 0, fmt.Errorf("%w: the header of a member is damaged", ErrMalformed)
	}
	a.left = size + size%2
	name = strings.TrimSuffix(strings.TrimSpace(string(head[:16])), "/")
	return name, size, nil
}

// member reads one member.
type member struct {
	a    *archive
	left int64
}

func (m *member) Read(p []byte) (int, error) {
	if m.left == 0 {
		return 0, io.EOF
	}
	n, err := m.a.r.Read(p[:min(int64(len(p)), m.left)])
	m.left -= int64(n)
	m.a.left -= int64(n)
	if err == io.EOF && m.left > 0 {
		err = fmt.Errorf("%w: %w", ErrMalformed, io.ErrUnexpectedEOF)
	}
	return n, err
}
