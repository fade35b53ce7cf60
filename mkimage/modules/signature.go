package modules

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"deltaup/mkimage/tree"
)

// The end of a signed module, from the kernel's include/linux/module_signature.h: the signature,
// 12 bytes that describe it, and a text.
const (
	signatureText = "~Module signature appended~\n"
	describedBy   = 12
	trailerSize   = describedBy + len(signatureText)
)

// configMax bounds a kernel's configuration, in bytes. That of a distribution has 300 kB.
const configMax = 8 << 20

// Unsigned gives the tree t with the signatures of plain modules cut off. Half of what an update of
// a kernel's modules costs is signatures. Compressed modules stay as they are, see [Plain].
//
// A kernel whose configuration in the tree says that it takes signed modules alone is an error. One
// that does so under Secure Boot is a warning. Closing the result closes t.
func Unsigned(ctx context.Context, t tree.Tree) (tree.Tree, error) {
	u := &unsignedTree{Tree: t, entries: slices.Clone(t.Entries()), cut: map[string]bool{}}
	signed, kept := inodes(u.entries, isPlain)
	for _, k := range kept {
		u.warnings = append(u.warnings,
			fmt.Sprintf("/%s keeps its signature: it is also /%s", k.path, k.other))
	}
	if err := u.measure(ctx, signed); err != nil {
		return nil, err
	}
	if len(u.cut) == 0 {
		return t, nil
	}
	for i := range u.entries {
		if err := u.readConfig(i); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// unsignedTree is a tree whose plain modules have no signatures.
type unsignedTree struct {
	tree.Tree
	entries  []tree.Entry
	cut      map[string]bool // first names of the modules that had a signature
	warnings []string
}

func (u *unsignedTree) Entries() []tree.Entry { return u.entries }

func (u *unsignedTree) Warnings() []string { return append(u.Tree.Warnings(), u.warnings...) }

func (u *unsignedTree) Open(i int) (io.ReadCloser, error) {
	r, err := u.Tree.Open(i)
	if e := &u.entries[i]; err == nil && (u.cut[e.Path] || u.cut[e.Link]) {
		return limited{io.LimitReader(r, e.Size), r}, nil
	}
	return r, err
}

type limited struct {
	io.Reader
	io.Closer
}

// measure finds the signatures of the modules, and sets the sizes without them in entries.
func (u *unsignedTree) measure(ctx context.Context, modules []int) error {
	sizes := make([]int64, len(modules))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for n, i := range modules {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			size, err := u.unsignedSize(i)
			sizes[n] = size
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	first := map[string]int64{}
	for n, i := range modules {
		if e := &u.entries[i]; sizes[n] != e.Size {
			e.Size, first[e.Path], u.cut[e.Path] = sizes[n], sizes[n], true
		}
	}
	for i := range u.entries {
		if size, ok := first[u.entries[i].Link]; ok {
			u.entries[i].Size = size
		}
	}
	return nil
}

// unsignedSize gives how many bytes module i has before its signature.
func (u *unsignedTree) unsignedSize(i int) (size int64, err error) {
	r, err := u.Tree.Open(i)
	if err != nil {
		return 0, err
	}
	var end tail
	size, err = io.Copy(&end, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return 0, err
	}
	signature, err := signatureSize(end.bytes, size)
	if err != nil {
		return 0, fmt.Errorf("%w: /%s: %w", ErrModule, u.entries[i].Path, err)
	}
	return size - signature, nil
}

// tail keeps the last bytes that are written to it, as many as a trailer has or fewer.
type tail struct{ bytes []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.bytes = append(t.bytes, b[max(0, len(b)-trailerSize):]...)
	t.bytes = append(t.bytes[:0], t.bytes[max(0, len(t.bytes)-trailerSize):]...)
	return len(b), nil
}

// signatureSize gives how many bytes at the end of a module of size bytes are its signature, from
// its last bytes. A module without one has 0.
func signatureSize(end []byte, size int64) (int64, error) {
	described, ok := strings.CutSuffix(string(end), signatureText)
	if !ok || len(described) < describedBy {
		return 0, nil
	}
	d := []byte(described[len(described)-describedBy:])
	n := int64(d[3]) + int64(d[4]) + int64(binary.BigEndian.Uint32(d[8:])) // signer, key, signature
	if n += int64(trailerSize); n > size {
		return 0, fmt.Errorf("its signature claims %d of %d bytes", n, size)
	}
	return n, nil
}

// isPlain tells whether a path is that of a plain module.
func isPlain(name string) bool {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(name, "usr/"), "lib/modules/")
	return ok && strings.Contains(rest, "/") && strings.HasSuffix(rest, ".ko")
}

// readConfig looks at what a kernel's configuration demands, if entry i is one.
func (u *unsignedTree) readConfig(i int) error {
	e := &u.entries[i]
	dir, name := path.Split(e.Path)
	version, ok := strings.CutPrefix(name, "config-")
	if ok = ok && dir == "boot/"; !ok && name == "config" && isVersionDir(dir) {
		version, ok = path.Base(dir), true
	}
	if !ok || e.Type != tree.Regular || e.Link != "" || e.Size > configMax {
		return nil
	}
	r, err := u.Tree.Open(i)
	if err != nil {
		return err
	}
	defer r.Close() // it is only read
	always, locked, err := demands(r)
	if err != nil {
		return err
	}
	if always {
		return fmt.Errorf("%w: kernel %s takes signed modules alone: %s in /%s", ErrModule, version,
			sigForce, e.Path)
	}
	if locked {
		u.warnings = append(u.warnings, fmt.Sprintf(
			"kernel %s takes signed modules alone under Secure Boot: %s in /%s", version, lockDown,
			e.Path))
	}
	return nil
}

// Lines of a kernel's configuration.
const (
	sigForce = "CONFIG_MODULE_SIG_FORCE=y"
	lockDown = "CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y"
)

// demands tells whether the kernel of a configuration takes signed modules alone: always, or when
// Secure Boot locks it down.
func demands(config io.Reader) (always, locked bool, err error) {
	b, err := io.ReadAll(io.LimitReader(config, configMax))
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		always = always || line == sigForce
		locked = locked || line == lockDown
	}
	return always, locked, err
}
