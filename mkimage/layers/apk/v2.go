package apk

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// tap hashes the bytes that are read of a file, no further than a decompressor takes them.
type tap struct {
	r    *bufio.Reader
	sums []hash.Hash
	buf  []byte // not hashed yet
}

func (t *tap) ReadByte() (byte, error) {
	b, err := t.r.ReadByte()
	if err == nil {
		if t.buf = append(t.buf, b); len(t.buf) >= 4096 {
			t.flush()
		}
	}
	return b, err
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.flush()
	for _, h := range t.sums {
		h.Write(p[:n])
	}
	return n, err
}

func (t *tap) flush() {
	for _, h := range t.sums {
		h.Write(t.buf)
	}
	t.buf = t.buf[:0]
}

// begin hashes what follows.
func (t *tap) begin(sums ...hash.Hash) {
	t.flush()
	t.sums = sums
}

// members are the gzip members of a package of the second generation: signatures, which may be
// missing, the control archive, and the files.
type members struct {
	*tap
	z *gzip.Reader
}

// next begins the next member.
func (m *members) next() error {
	var err error
	if m.z == nil {
		m.z, err = gzip.NewReader(m.tap)
	} else {
		err = m.z.Reset(m.tap)
	}
	if err != nil {
		return fmt.Errorf("%w: a member is missing: %w", ErrMalformed, err)
	}
	m.z.Multistream(false)
	return nil
}

// files reads the small files of a member, to its end: those with names that wanted takes. All
// together have at most limit bytes, and one has at most half of them.
func (m *members) files(limit int64, wanted func(name string) bool) (map[string][]byte, error) {
	plain := io.LimitReader(m.z, limit)
	files := map[string][]byte{}
	for in := tar.NewReader(plain); ; {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if _, twice := files[h.Name]; twice || h.Typeflag != tar.TypeReg || h.Size > limit/2 ||
			!wanted(h.Name) {
			return nil, fmt.Errorf("%w: the archive has %.200q", ErrMalformed, h.Name)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		files[h.Name] = b
	}
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if n, err := m.z.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return nil, fmt.Errorf("%w: an archive of more than %d bytes", ErrMalformed, limit)
	}
	return files, nil
}

// inControl tells the names that a control archive may have.
func inControl(name string) bool {
	return strings.HasPrefix(name, ".") && !strings.Contains(name, "/")
}

const signPrefix = ".SIGN."

// signed is an archive of small files that a key has signed, as it lies in a file.
type signed struct {
	*members                     // the next one comes behind the archive
	files      map[string][]byte // of the archive, by their names
	signatures map[string][]byte // by the names of their files; nil: there is none
	digests                      // of the archive
}

// readSigned reads the signatures and the archive that they sign.
func readSigned(in *bufio.Reader, limit int64, wanted func(string) bool) (*signed, error) {
	s := &signed{
		members: &members{tap: &tap{r: in}},
		digests: digests{sha1: sha1.New(), sha256: sha256.New(), sha512: sha512.New()},
	}
	s.begin(s.all()...)
	if err := s.next(); err != nil {
		return nil, err
	}
	var err error
	if s.files, err = s.members.files(limit, wanted); err != nil {
		return nil, err
	}
	for name := range s.files {
		if strings.HasPrefix(name, signPrefix) {
			s.signatures = s.files
		}
	}
	if s.signatures != nil {
		s.flush()
		s.reset()
		if err := s.next(); err != nil {
			return nil, err
		}
		if s.files, err = s.members.files(limit, wanted); err != nil {
			return nil, err
		}
	}
	s.flush()
	return s, nil
}

func (p *Package) readV2(ctx context.Context, in *bufio.Reader, o *Options) error {
	m, err := readSigned(in, controlMax, inControl)
	if err != nil {
		return err
	}
	if o.Keys != nil {
		if p.Signer, err = o.Keys.verifyV2(m.signatures, m.digests); err != nil {
			return err
		}
	}
	want, err := p.readControl(m.files)
	if err != nil {
		return err
	}
	if err := o.identify(p, m.sha1.Sum(nil), m.sha256.Sum(nil)); err != nil {
		return err
	}
	data := sha256.New()
	m.begin(data)
	if err := m.next(); err != nil {
		return err
	}
	return p.unpack(ctx, o, func(w *tar.Writer) error {
		if err := copyFiles(w, m.z, o); err != nil {
			return err
		}
		if err := atEnd(in, "files"); err != nil {
			return err
		}
		m.flush()
		if got := hex.EncodeToString(data.Sum(nil)); got != want {
			return fmt.Errorf("%w: the files have the hash %s, the package says %.64s", ErrMalformed,
				got, want)
		}
		return nil
	})
}

// atEnd refuses a file that does not end behind what has been read.
func atEnd(in *bufio.Reader, what string) error {
	switch _, err := in.ReadByte(); err {
	case io.EOF:
		return nil
	case nil:
		return fmt.Errorf("%w: something follows the %s", ErrMalformed, what)
	default:
		return err
	}
}

// readControl reads the control archive. It gives the hash of the files.
func (p *Package) readControl(files map[string][]byte) (datahash string, err error) {
	text, ok := files[".PKGINFO"]
	if !ok {
		return "", fmt.Errorf("%w: there is no .PKGINFO", ErrMalformed)
	}
	fields, err := parseInfo(string(text))
	if err != nil {
		return "", err
	}
	for name, value := range map[string]*string{
		"pkgname": &p.Name, "pkgver": &p.Version, "arch": &p.Architecture, "pkgdesc": &p.Description,
		"url": &p.URL, "license": &p.License, "origin": &p.Origin, "datahash": &datahash,
	} {
		if values := fields[name]; len(values) > 1 {
			return "", fmt.Errorf("%w: .PKGINFO has %s twice", ErrMalformed, name)
		} else if len(values) == 1 {
			*value = values[0]
		}
	}
	for _, list := range fields["triggers"] {
		p.Triggers = append(p.Triggers, strings.Fields(list)...)
	}
	for name, content := range files {
		if slices.Contains(scriptNames, name) {
			p.Scripts[name] = content
		}
	}
	if datahash == "" {
		return "", fmt.Errorf("%w: .PKGINFO has no datahash", ErrMalformed)
	}
	return datahash, p.check()
}

// parseInfo gives the fields of a .PKGINFO, each with its values in order.
func parseInfo(text string) (map[string][]string, error) {
	fields := map[string][]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, " = ")
		if !ok || name == "" || strings.ContainsAny(name, " =\t") {
			return nil, fmt.Errorf("%w: the line %.200q of .PKGINFO", ErrMalformed, line)
		}
		fields[name] = append(fields[name], value)
	}
	return fields, nil
}

// checksum is the record with which abuild says the hash of each content.
const checksum = "APK-TOOLS.checksum.SHA1"

// copyFiles copies the archive of the files, and reads it to its end. Like apk it leaves out names
// that begin with a dot.
func copyFiles(w *tar.Writer, r io.Reader, o *Options) error {
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if strings.HasPrefix(h.Name, ".") {
			continue
		}
		want := h.PAXRecords[checksum]
		if err := o.header(w, h); err != nil {
			return err
		}
		sum := sha1.New()
		if _, err := io.Copy(io.MultiWriter(w, sum), in); err != nil {
			return fmt.Errorf("%w: %.200q: %w", ErrMalformed, h.Name, err)
		}
		if got := hex.EncodeToString(sum.Sum(nil)); h.Typeflag == tar.TypeReg && want != "" && got != want {
			return fmt.Errorf("%w: %.200q has the hash %s, the package says %.40s", ErrMalformed, h.Name,
				got, want)
		}
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}
