// Package deb reads Debian's binary packages, as deb(5) describes them: the fields of their control
// file, their scripts and triggers, and the tree of files that they unpack to. It runs nothing.
//
// A package comes from whoever made it, so lengths are bounded before memory is taken.
package deb

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"deltaup/internal/plainfile"
	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/tree"
)

// ErrMalformed is wrapped when a file is no package.
var ErrMalformed = errors.New("malformed package")

// Bounds of a package's control archive, in bytes. The longest list of sums in Debian 12 has 6 MB.
const (
	controlMax = 64 << 20 // all of it, plain
	fileMax    = 32 << 20 // one of its files
)

// Package is a binary package.
type Package struct {
	Name, Version, Architecture string
	Paragraph                   string            // the control file, as it is
	Control                     map[string][]byte // the control archive's other files, by name
	tree.Tree                                     // what the package unpacks to
}

// Open reads the package in a file; o says what of its tree. Closing the result frees the room that
// it takes in the system's folder for temporary files. Errors wrap ErrMalformed or rootfs's, or are
// those of the system.
func Open(ctx context.Context, name string, o rootfs.Options) (*Package, error) {
	f, err := plainfile.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the tree has what it needs in a file of its own
	p, err := read(ctx, f, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// read is Open for a stream.
func read(ctx context.Context, r io.Reader, o rootfs.Options) (*Package, error) {
	a, err := newArchive(r)
	if err != nil {
		return nil, err
	}
	if err := a.version(); err != nil {
		return nil, err
	}
	p := &Package{Control: map[string][]byte{}}
	member, err := a.next("control.tar")
	if err != nil {
		return nil, err
	}
	if err := p.readControl(member); err != nil {
		return nil, fmt.Errorf("control archive: %w", err)
	}
	if member, err = a.next("data.tar"); err != nil {
		return nil, err
	}
	// hidden from a type switch, so that the archive is copied out of what the caller closes
	p.Tree, err = rootfs.FromTar(ctx, struct{ io.Reader }{member}, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	return p, nil
}

// readControl reads the control archive.
func (p *Package) readControl(r io.Reader) error {
	plain, done, err := rootfs.Decompress(r)
	if err != nil {
		return err
	}
	defer done()
	in := tar.NewReader(io.LimitReader(plain, controlMax))
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		name := path.Clean(h.Name)
		if h.Size > fileMax || strings.Contains(name, "/") || p.Control[name] != nil {
			return fmt.Errorf("%w: the file %q of %d bytes", ErrMalformed, h.Name, h.Size)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		p.Control[name] = b
	}
	text, ok := p.Control["control"]
	if !ok {
		return fmt.Errorf("%w: there is no file control", ErrMalformed)
	}
	delete(p.Control, "control")
	p.Paragraph = string(text)
	fields, err := ParseParagraph(p.Paragraph)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name  string
		value *string
	}{
		{"Package", &p.Name}, {"Version", &p.Version}, {"Architecture", &p.Architecture},
	} {
		*f.value = fields[f.name]
		if !plainWord(*f.value) {
			return fmt.Errorf("%w: its %s is %q", ErrMalformed, f.name, *f.value)
		}
	}
	return nil
}

// plainWord tells whether a string can be a package's name, version or architecture.
func plainWord(s string) bool {
	bad := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune(".+-:~_", r))
	}
	return s != "" && len(s) < 256 && s[0] != '.' && !strings.ContainsFunc(s, bad)
}

// ParseParagraph gives the fields of a paragraph of deb822(5), by their names as written. The lines
// of a long one are joined by newlines.
func ParseParagraph(text string) (map[string]string, error) {
	fields := map[string]string{}
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case line == "" || line[0] == '#':
			continue
		case line[0] == ' ' || line[0] == '\t':
			if last == "" {
				return nil, fmt.Errorf("%w: its control file begins amid a field", ErrMalformed)
			}
			fields[last] += "\n" + line[1:]
		default:
			name, value, ok := strings.Cut(line, ":")
			if _, twice := fields[name]; !ok || name == "" || twice {
				return nil, fmt.Errorf("%w: the line %q of its control file", ErrMalformed, line)
			}
			fields[name], last = strings.TrimSpace(value), name
		}
	}
	return fields, nil
}
