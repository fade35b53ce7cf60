// Package apk reads Alpine's packages of both generations, as apk-package(5) and apk-v3(5) describe
// them: their names, their scripts and the tree of files that they unpack to. It runs nothing.
//
// Begin with [Open], or with [ReadIndex], which reads what a repository has, and [Verify]. Every
// content is verified by the hash that the package says. Whether the package itself is what
// somebody made is told by [Options.Keys] alone. Dependencies are not read: who chooses packages
// has solved them.
//
// A package comes from whoever made it, so lengths are bounded before memory is taken.
package apk

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"deltaup/internal/plainfile"
	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/tree"
)

var (
	// ErrMalformed is wrapped when a file is no package, or contradicts itself.
	ErrMalformed = errors.New("malformed package")
	// ErrSignature is wrapped when no known key has signed a package.
	ErrSignature = errors.New("no signature of a known key")
	// ErrListed is wrapped when a package is not the one that an index lists.
	ErrListed = errors.New("not what the index lists")
	// ErrOwner is wrapped when a file belongs to a user or group without a number.
	ErrOwner = errors.New("owner without a number")
)

// Bounds of what is kept in memory, in bytes.
const (
	controlMax = 64 << 20  // the control archive, plain, or the database of the third generation
	indexMax   = 256 << 20 // an index, plain
)

// scriptNames are those of the scripts that a package may have, as in the second generation's
// archive. apk runs the third and the second when a package is installed where it was not.
var scriptNames = []string{
	".trigger", ".pre-install", ".post-install", ".pre-deinstall", ".post-deinstall",
	".pre-upgrade", ".post-upgrade",
}

// Options say how a package is read.
type Options struct {
	Clamp *uint32 // later modification times become this one; nil: as the package says
	Keys  Keys    // one of these must have signed the package; nil: nobody needs to
	// Users and Groups have the numbers of owners, which count before those of the package. root is
	// 0. The third generation has names alone.
	Users, Groups map[string]uint32

	listed *Listed // what the package must be; then owners need no number
}

// Package is a binary package.
type Package struct {
	Name, Version, Architecture       string
	Description, URL, License, Origin string
	Generation                        int               // 2 or 3
	Signer                            string            // the name of the key; "": not verified
	Scripts                           map[string][]byte // by the names of scriptNames
	Triggers                          []string          // patterns of paths at which .trigger is run
	tree.Tree                                           // what the package unpacks to
}

// Open reads the package in a file. Closing the result frees the room that it takes in the system's
// folder for temporary files. Errors wrap those of this package or rootfs's, or are those of the
// system.
func Open(ctx context.Context, name string, o Options) (*Package, error) {
	f, err := plainfile.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the tree has what it needs in a file of its own
	p, err := open(ctx, f, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// open is Open for a stream.
func open(ctx context.Context, r io.Reader, o Options) (*Package, error) {
	in := bufio.NewReaderSize(r, 128<<10)
	head, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	p := &Package{Scripts: map[string][]byte{}}
	switch {
	case len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b:
		p.Generation, err = 2, p.readV2(ctx, in, &o)
	case strings.HasPrefix(string(head), "ADB"):
		p.Generation, err = 3, p.readV3(ctx, in, &o)
	default:
		err = fmt.Errorf("%w: no package of Alpine", ErrMalformed)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// check refuses a package without a usable name.
func (p *Package) check() error { return checkWords(p.Name, p.Version, p.Architecture) }

// checkWords refuses what can be no name, version or architecture: a path is made of them.
func checkWords(words ...string) error {
	for _, word := range words {
		if word == "" || len(word) > 255 || word[0] == '.' || strings.Trim(word, plain) != "" {
			return fmt.Errorf("%w: the name, version or architecture %.300q", ErrMalformed, word)
		}
	}
	return nil
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-~_"

// unpack reads the tree of the archive that write writes.
func (p *Package) unpack(ctx context.Context, o *Options, write func(*tar.Writer) error) error {
	r, w := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		t := tar.NewWriter(w)
		err := write(t)
		if err == nil {
			err = t.Close()
		}
		w.CloseWithError(err)
	}()
	// hidden from a type switch, since a pipe cannot be read again
	t, err := rootfs.FromTar(ctx, struct{ io.Reader }{r}, rootfs.Options{Clamp: o.Clamp, Empty: true})
	r.CloseWithError(err) // so that write ends
	<-written
	if err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	p.Tree = t
	return nil
}

// header writes the header of a file, whose owner has a name.
func (o *Options) header(w *tar.Writer, h *tar.Header) error {
	h.Format = tar.FormatPAX
	h.Uid, h.Gid = o.number(o.Users, h.Uname, h.Uid), o.number(o.Groups, h.Gname, h.Gid)
	if o.listed != nil {
		h.Uid, h.Gid = 0, 0
	}
	if h.Uid < 0 || h.Gid < 0 {
		return fmt.Errorf("%w: /%.200s belongs to %.100q:%.100q", ErrOwner, h.Name, h.Uname, h.Gname)
	}
	if err := w.WriteHeader(h); err != nil {
		return fmt.Errorf("%w: %.200q: %w", ErrMalformed, h.Name, err)
	}
	return nil
}

func (o *Options) number(known map[string]uint32, name string, otherwise int) int {
	if n, ok := known[name]; ok {
		return int(n)
	}
	if name == "root" {
		return 0
	}
	return otherwise
}
