package apk

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// Schemas.
const (
	schemaPackage = 0x676b6370 // "pckg"
	schemaIndex   = 0x78646e69 // "indx"
)

// Types of blocks. Each begins with its type in two bits and its size, with these four bytes, in
// 30; or, if it is longer, with 3 in the two bits, the type in the others, four bytes of nothing,
// and its size in eight. Blocks lie at multiples of eight bytes.
const (
	blockDatabase  = 0
	blockSignature = 1
	blockData      = 2
	blockLong      = 3
)

const (
	signatureMax  = 4 << 10   // bytes of a signature
	signaturesMax = 64        // that a package may have
	windowMax     = 128 << 20 // bytes that zstd may refer back
)

// Fields of a package and of its information, by their places. An index has the same information.
const (
	packageInfo     = 1
	packagePaths    = 2
	packageScripts  = 3
	packageTriggers = 4

	indexPackages = 2
	indexSpec     = 3

	infoName        = 1
	infoVersion     = 2
	infoDescription = 4
	infoArch        = 5
	infoLicense     = 6
	infoOrigin      = 7
	infoURL         = 9

	// what an index alone has
	infoHash = 3
	infoSize = 13
)

// blocks reads the blocks of a file of the third generation.
type blocks struct {
	r    *bufio.Reader
	left int64 // bytes of the block before that were not read, without its padding
	pad  int64
}

// next begins the next block; io.EOF: there is none.
func (b *blocks) next() (kind uint32, size int64, err error) {
	if _, err := io.CopyN(io.Discard, b.r, b.left+b.pad); err != nil {
		return 0, 0, short(err)
	}
	b.left, b.pad = 0, 0
	var head [16]byte
	if n, err := io.ReadFull(b.r, head[:4]); err != nil {
		if err == io.EOF && n == 0 {
			return 0, 0, io.EOF
		}
		return 0, 0, short(err)
	}
	word := binary.LittleEndian.Uint32(head[:])
	kind, raw, own := word>>30, uint64(word&0x3fffffff), uint64(4)
	if kind == blockLong {
		if _, err := io.ReadFull(b.r, head[4:]); err != nil {
			return 0, 0, short(err)
		}
		kind, raw, own = word&0x3fffffff, binary.LittleEndian.Uint64(head[8:]), 16
	}
	if raw < own || raw > 1<<62 {
		return 0, 0, fmt.Errorf("%w: a block of %d bytes", ErrMalformed, raw)
	}
	b.left, b.pad = int64(raw-own), int64(-raw&7)
	return kind, b.left, nil
}

// Read reads the block.
func (b *blocks) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// all gives the whole block.
func (b *blocks) all(limit int64) ([]byte, error) {
	if b.left > limit {
		return nil, fmt.Errorf("%w: a block of %d bytes", ErrMalformed, b.left)
	}
	size := b.left
	all, err := io.ReadAll(b)
	if err == nil && int64(len(all)) != size {
		err = io.ErrUnexpectedEOF
	}
	return all, short(err)
}

// short makes the error of a package that ends early, or whose compression is damaged.
func short(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}

// databaseFile is a file of the third generation, read as far as behind its signatures.
type databaseFile struct {
	*blocks
	database
	signer string // the name of the key; "": not verified
	kind   uint32 // of the block that has begun
	end    bool   // there is no block any more
	close  func()
}

// openDatabase reads the database of a file, at most limit bytes, and its signatures. With keys,
// one of them must have signed it.
func openDatabase(in *bufio.Reader, schema uint32, limit int64, keys Keys) (*databaseFile, error) {
	plain, done, err := decompress(in)
	if err != nil {
		return nil, err
	}
	f := &databaseFile{blocks: &blocks{r: plain}, close: done}
	if err := f.read(schema, limit, keys); err != nil {
		done()
		return nil, err
	}
	return f, nil
}

func (f *databaseFile) read(schema uint32, limit int64, keys Keys) error {
	var head [8]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return short(err)
	}
	if string(head[:4]) != "ADB." || binary.LittleEndian.Uint32(head[4:]) != schema {
		want := binary.LittleEndian.AppendUint32(nil, schema)
		return fmt.Errorf("%w: the schema is %.4q, not %q", ErrMalformed, head[4:], want)
	}
	kind, _, err := f.next()
	if err != nil && err != io.EOF {
		return err
	}
	if err == io.EOF || kind != blockDatabase {
		return fmt.Errorf("%w: it has no database", ErrMalformed)
	}
	text, err := f.all(limit)
	if err != nil {
		return err
	}
	if err := f.signatures(text, schema, keys); err != nil {
		return err
	}
	f.database, err = parseDatabase(text)
	return err
}

func (p *Package) readV3(ctx context.Context, in *bufio.Reader, o *Options) error {
	f, err := openDatabase(in, schemaPackage, controlMax, o.Keys)
	if err != nil {
		return err
	}
	defer f.close()
	p.Signer = f.signer
	root, err := f.list(f.root())
	if err != nil {
		return err
	}
	if err := p.readInfo(root); err != nil {
		return err
	}
	sum256, sum512 := sha256.Sum256(f.database), sha512.Sum512(f.database)
	if err := o.identify(p, sum256[:sha1.Size], sum256[:], sum512[:]); err != nil {
		return err
	}
	paths, err := root.list(packagePaths)
	if err != nil {
		return err
	}
	x := &extraction{blocks: f.blocks, o: o, kind: f.kind, end: f.end}
	return p.unpack(ctx, o, func(w *tar.Writer) error { return x.all(w, paths) })
}

// decompress gives what a file of the third generation holds, plain.
func decompress(in *bufio.Reader) (*bufio.Reader, func(), error) {
	head, err := in.Peek(6)
	if err != nil {
		return nil, nil, short(err)
	}
	method, skip := byte(0), 0
	switch head[3] {
	case '.':
	case 'd':
		method, skip = 1, 4
	case 'c':
		method, skip = head[4], 6
	default:
		return nil, nil, fmt.Errorf("%w: it begins with %.4q", ErrMalformed, head)
	}
	if _, err := in.Discard(skip); err != nil {
		return nil, nil, err
	}
	switch method {
	case 0:
		return in, func() {}, nil
	case 1:
		return bufio.NewReaderSize(flate.NewReader(in), 64<<10), func() {}, nil
	case 2:
		z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(windowMax))
		if err != nil {
			return nil, nil, short(err)
		}
		return bufio.NewReaderSize(z, 64<<10), z.Close, nil
	}
	return nil, nil, fmt.Errorf("%w: an unknown compression, %d", ErrMalformed, method)
}

// signatures reads the signatures of a database, and the head of the block behind them.
func (f *databaseFile) signatures(database []byte, schema uint32, keys Keys) error {
	sum256, sum512 := sha256.Sum256(database), sha512.Sum512(database)
	sums := map[byte][]byte{hashSHA256: sum256[:], hashSHA512: sum512[:]}
	var err error
	n := 0
	for f.kind, _, err = f.next(); err == nil && f.kind == blockSignature; f.kind, _, err = f.next() {
		if n++; n > signaturesMax {
			return fmt.Errorf("%w: more than %d signatures", ErrMalformed, signaturesMax)
		}
		s, err := f.all(signatureMax)
		if err != nil {
			return err
		}
		if f.signer != "" {
			continue
		}
		if f.signer, err = keys.verifyV3(s, schema, sums); err != nil {
			return err
		}
	}
	if f.end = err == io.EOF; err != nil && !f.end {
		return err
	}
	if keys != nil && f.signer == "" {
		return fmt.Errorf("%w: %d signatures, none by one of %d keys", ErrSignature, n, len(keys))
	}
	return nil
}

// readInfo reads what is known about the package.
func (p *Package) readInfo(root list) error {
	info, err := root.list(packageInfo)
	if err != nil {
		return err
	}
	for i, to := range map[int]*string{
		infoName: &p.Name, infoVersion: &p.Version, infoDescription: &p.Description,
		infoArch: &p.Architecture, infoLicense: &p.License, infoOrigin: &p.Origin, infoURL: &p.URL,
	} {
		if err := info.text(i, to); err != nil {
			return err
		}
	}
	scripts, err := root.list(packageScripts)
	if err != nil {
		return err
	}
	for i, name := range scriptNames { // in the order of the fields
		script, err := scripts.blob(i + 1)
		if err != nil {
			return err
		}
		if script != nil {
			p.Scripts[name] = bytes.Clone(script)
		}
	}
	triggers, err := root.list(packageTriggers)
	if err != nil {
		return err
	}
	if triggers.n() > 1000 {
		return fmt.Errorf("%w: %d triggers", ErrMalformed, triggers.n())
	}
	for i := range triggers.n() {
		var s string
		if err := triggers.text(i+1, &s); err != nil {
			return err
		}
		p.Triggers = append(p.Triggers, s)
	}
	return p.check()
}

// newHash gives the hash that has sums of so many bytes.
func newHash(size int) (hash.Hash, error) {
	switch size {
	case sha1.Size:
		return sha1.New(), nil
	case sha256.Size:
		return sha256.New(), nil
	case sha512.Size:
		return sha512.New(), nil
	}
	return nil, fmt.Errorf("%w: a file without a hash", ErrMalformed)
}

// modTime gives a time from seconds since 1970. Impossible ones are the reader's to refuse.
func modTime(seconds uint64) time.Time { return time.Unix(int64(min(seconds, 1<<40)), 0) }

var errBlock = errors.New("contents do not lie in the order of the files")
