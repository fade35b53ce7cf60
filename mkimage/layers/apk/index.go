package apk

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"deltaup/internal/plainfile"
)

// Index is what a repository has, as somebody has signed it: a file of the second generation, as
// apk index writes it, or of the third, as apk mkndx does.
type Index struct {
	Generation int // 2 or 3
	Packages   []Listed

	spec string // how the paths of packages are made; "": by default
}

// Listed is a package as an index lists it.
type Listed struct {
	Name, Version, Architecture string
	Size                        int64  // bytes of the file
	Hash                        []byte // of the control archive or of the database
}

func (l Listed) String() string { return l.Name + " " + l.Version }

// listedMax is how many packages an index may have. Alpine's largest has some 25,000.
const listedMax = 1 << 18

// ReadIndex reads an index that one of the keys must have signed. Errors wrap ErrMalformed or
// ErrSignature.
func ReadIndex(r io.Reader, keys Keys) (*Index, error) {
	if keys == nil {
		keys = Keys{} // nobody is trusted
	}
	return readIndex(r, keys)
}

// readIndex is ReadIndex, in which no keys mean that nobody need have signed it.
func readIndex(r io.Reader, keys Keys) (*Index, error) {
	in := bufio.NewReaderSize(r, 128<<10)
	head, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	x := &Index{}
	switch {
	case len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b:
		x.Generation, err = 2, x.readV2(in, keys)
	case strings.HasPrefix(string(head), "ADB"):
		x.Generation, err = 3, x.readV3(in, keys)
	default:
		err = fmt.Errorf("%w: no index of Alpine", ErrMalformed)
	}
	if err != nil {
		return nil, err
	}
	return x, nil
}

// add takes a package into the index.
func (x *Index) add(l Listed) error {
	if err := checkWords(l.Name, l.Version, l.Architecture); err != nil {
		return err
	}
	if n := len(l.Hash); l.Size <= 0 || n != 20 && n != 32 && n != 64 {
		return fmt.Errorf("%w: %s has %d bytes and the hash %x", ErrMalformed, l, l.Size, l.Hash)
	}
	if len(x.Packages) == listedMax {
		return fmt.Errorf("%w: an index of more than %d packages", ErrMalformed, listedMax)
	}
	x.Packages = append(x.Packages, l)
	return nil
}

func (x *Index) readV2(in *bufio.Reader, keys Keys) error {
	s, err := readSigned(in, indexMax, func(name string) bool {
		return name == "APKINDEX" || name == "DESCRIPTION" || inControl(name)
	})
	if err != nil {
		return err
	}
	if keys != nil {
		if _, err := keys.verifyV2(s.signatures, s.digests); err != nil {
			return err
		}
	}
	if err := atEnd(in, "index"); err != nil {
		return err
	}
	text, ok := s.files["APKINDEX"]
	if !ok {
		return fmt.Errorf("%w: the archive has no APKINDEX", ErrMalformed)
	}
	return x.parse(string(text))
}

// parse reads the lines of an index: of each package those with its fields, and an empty one.
func (x *Index) parse(text string) error {
	var l Listed
	fields := 0
	for line := range strings.Lines(text + "\n") {
		line = strings.TrimRight(line, "\n")
		if line == "" {
			if fields > 0 {
				if err := x.add(l); err != nil {
					return err
				}
			}
			l, fields = Listed{}, 0
			continue
		}
		fields++
		name, value, ok := strings.Cut(line, ":")
		if !ok || len(name) != 1 {
			return fmt.Errorf("%w: the line %.200q of the index", ErrMalformed, line)
		}
		var err error
		switch name[0] {
		case 'P':
			l.Name = value
		case 'V':
			l.Version = value
		case 'A':
			l.Architecture = value
		case 'S':
			l.Size, err = strconv.ParseInt(value, 10, 64)
		case 'C':
			l.Hash, err = parseHash(value)
		}
		if err != nil {
			return fmt.Errorf("%w: the line %.200q of the index", ErrMalformed, line)
		}
	}
	return nil
}

func (x *Index) readV3(in *bufio.Reader, keys Keys) error {
	f, err := openDatabase(in, schemaIndex, indexMax, keys)
	if err != nil {
		return err
	}
	defer f.close()
	if !f.end {
		return fmt.Errorf("%w: something follows the index", ErrMalformed)
	}
	root, err := f.list(f.root())
	if err != nil {
		return err
	}
	if err := root.text(indexSpec, &x.spec); err != nil {
		return err
	}
	packages, err := root.list(indexPackages)
	if err != nil {
		return err
	}
	for i := range packages.n() {
		info, err := packages.list(i + 1)
		if err != nil {
			return err
		}
		var l Listed
		for field, to := range map[int]*string{
			infoName: &l.Name, infoVersion: &l.Version, infoArch: &l.Architecture,
		} {
			if err := info.text(field, to); err != nil {
				return err
			}
		}
		hash, err := info.blob(infoHash)
		if err != nil {
			return err
		}
		size, err := info.number(infoSize)
		if err != nil {
			return err
		}
		l.Hash, l.Size = bytes.Clone(hash), int64(size)
		if err := x.add(l); err != nil {
			return err
		}
	}
	return nil
}

// Path gives the path of a package below the folder of the index, or, if alone is false, below the
// repository, which has a folder for each architecture. Errors wrap ErrMalformed.
func (x *Index) Path(l Listed, alone bool) (string, error) {
	spec := x.spec
	switch {
	case spec != "":
	case alone:
		spec = "${name}-${version}.apk"
	default:
		spec = "${arch}/${name}-${version}.apk"
	}
	p, err := l.expand(spec)
	if err == nil && (strings.Contains(p, "//") || path.Clean("/"+p) != "/"+p ||
		!strings.HasSuffix(p, ".apk") || strings.Trim(p, plain+"/") != "") {
		err = fmt.Errorf("%w: the path %.300q of %s", ErrMalformed, p, l)
	}
	return p, err
}

// expand puts the words of a package into the places of a text that ask for them: ${name}, or
// ${name:4} for the first four letters.
func (l Listed) expand(spec string) (string, error) {
	words := map[string]string{
		"name": l.Name, "version": l.Version, "arch": l.Architecture,
		"hash": hex.EncodeToString(l.Hash),
	}
	var b strings.Builder
	for rest := spec; ; {
		before, after, ok := strings.Cut(rest, "${")
		b.WriteString(before)
		if !ok {
			break
		}
		variable, after, ok := strings.Cut(after, "}")
		name, letters, short := strings.Cut(variable, ":")
		word, known := words[name]
		if short && ok && known {
			n, err := strconv.ParseUint(letters, 10, 16)
			if ok = err == nil; ok {
				word = word[:min(int(n), len(word))]
			}
		}
		if !ok || !known || b.Len()+len(word) > pathMax {
			return "", fmt.Errorf("%w: the paths of packages are %.300q", ErrMalformed, spec)
		}
		b.WriteString(word)
		rest = after
	}
	if b.Len() > pathMax {
		return "", fmt.Errorf("%w: the paths of packages are %.300q", ErrMalformed, spec)
	}
	return b.String(), nil
}

const pathMax = 1024 // bytes of a package's path

// Verify reads a package in a file to its end, and tells whether it is the one that an index lists,
// and signed by one of the keys. Owners need no numbers. Errors wrap those of this package or
// rootfs's, or are those of the system.
func Verify(ctx context.Context, name string, keys Keys, want Listed) error {
	f, err := plainfile.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() // it is only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	switch size := info.Size(); {
	case size > want.Size:
		return fmt.Errorf("%w: %s has more than the %d bytes of the index", ErrListed, want, want.Size)
	case size < want.Size:
		return fmt.Errorf("%w: %s has %d bytes, the index says %d", ErrListed, want, size, want.Size)
	}
	if keys == nil {
		keys = Keys{}
	}
	p, err := open(ctx, f, Options{Keys: keys, listed: &want})
	if errors.Is(err, ErrListed) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%s: %w", want, err)
	}
	return p.Close()
}

// identify tells whether a package is the one that it must be, by its words and that of its hashes
// which is as long as the index's.
func (o *Options) identify(p *Package, sums ...[]byte) error {
	want := o.listed
	if want == nil {
		return nil
	}
	if p.Name != want.Name || p.Version != want.Version || p.Architecture != want.Architecture {
		return fmt.Errorf("%w: in the place of %s for %s is %s %s for %s", ErrListed, want,
			want.Architecture, p.Name, p.Version, p.Architecture)
	}
	for _, sum := range sums {
		if len(sum) != len(want.Hash) {
			continue
		}
		if !bytes.Equal(sum, want.Hash) {
			return fmt.Errorf("%w: %s has the hash %x, the index says %x", ErrListed, want, sum,
				want.Hash)
		}
		return nil
	}
	return fmt.Errorf("%w: %s has no hash of %d bytes", ErrListed, want, len(want.Hash))
}
