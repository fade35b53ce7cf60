//go:build !target

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"deltaup/internal/durable"
	"deltaup/internal/human"
	"deltaup/mkimage/layers"
	"deltaup/mkimage/layers/sbom"
	"deltaup/mkimage/tree"
)

// errNoOutput tells that a command does not know where to write.
var errNoOutput = &usageError{errors.New("-o is missing: the file to write")}

// folder gives the folder that the output names, by a slash at its end.
func (o *layersOptions) folder() (dir string, ok bool) {
	return strings.CutSuffix(o.output, "/")
}

// checkOutput refuses an output before the work begins: one that cannot be written, or that would
// replace what the definition is made of.
func (o *layersOptions) checkOutput(d *layers.Definition) error {
	if o.output == "" {
		return nil // the command writes nothing
	}
	if dir, ok := o.folder(); ok {
		if _, err := os.Lstat(dir); err == nil {
			return fmt.Errorf("%s: it is there already; want the name of a new folder", o.output)
		}
		return outside(dir, d.Inputs())
	}
	if err := replaceable(o.output); err != nil {
		return err
	}
	return keeps(o.output, append(d.Inputs(), o.lockPath()))
}

// outside fails when a new folder would lie in one that is read: the next tree would have this one.
func outside(dir string, inputs []string) error {
	for up := filepath.Dir(dir); ; up = filepath.Dir(up) {
		if err := keeps(up, inputs); err != nil {
			return fmt.Errorf("%s/: it would lie in %s, which is read", dir, up)
		}
		if up == filepath.Dir(up) {
			return nil
		}
	}
}

// write writes the output, which is made of a definition and its tree.
func (o *layersOptions) write(ctx context.Context, env *Env,
	write func(d *layers.Definition, t tree.Tree, w io.Writer) error) error {
	if _, folder := o.folder(); folder || o.output == "" {
		return errNoOutput
	}
	o.outputs = []string{o.output}
	d, t, err := o.compose(ctx, env)
	if err != nil {
		return err
	}
	defer t.Close() // it is only read
	for _, w := range t.Warnings() {
		warn(env.Stderr, w)
	}
	size, err := writeFile(o.output, func(w io.Writer) error { return write(d, t, w) })
	if err != nil {
		return fmt.Errorf("%s: %w", o.definition, err)
	}
	printf(env.Stdout, "%s: %s\n", o.output, human.Size(size))
	return nil
}

// build writes the tree as an archive or a folder.
func (o *layersOptions) build(ctx context.Context, env *Env) error {
	dir, ok := o.folder()
	if !ok {
		return o.write(ctx, env, func(_ *layers.Definition, t tree.Tree, w io.Writer) error {
			return layers.WriteTar(ctx, w, t)
		})
	}
	_, t, err := o.compose(ctx, env)
	if err != nil {
		return err
	}
	defer t.Close() // it is only read
	for _, w := range t.Warnings() {
		warn(env.Stderr, w)
	}
	err = layers.WriteFolder(ctx, dir, t)
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return fmt.Errorf("%s: %w (the owners in a folder need root, those in an archive do not)",
			o.output, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", o.output, err)
	}
	printf(env.Stdout, "%s: %d entries\n", o.output, len(t.Entries()))
	return nil
}

// writeFile durably writes a file, and gives its size in bytes.
func writeFile(name string, write func(io.Writer) error) (size int64, err error) {
	err = durable.WriteFile(filepath.Dir(name), name, func(w io.Writer) error {
		out := &countedWriter{w: w}
		err := write(out)
		size = out.n
		return err
	})
	return size, err
}

// countedWriter counts the bytes written through it.
type countedWriter struct {
	w io.Writer
	n int64
}

func (c *countedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// bills are the formats of bills of materials.
var bills = map[string]func(io.Writer, *sbom.Subject) error{
	"spdx": sbom.SPDX, "cyclonedx": sbom.CycloneDX,
}

// writeBill writes the bill of materials of the definition's lock.
func (o *layersOptions) writeBill(env *Env, write func(io.Writer, *sbom.Subject) error) error {
	if o.output == "" {
		return errNoOutput
	}
	d, err := layers.ReadDefinition(o.definition)
	if err != nil {
		return err
	}
	if err := o.checkOutput(d); err != nil {
		return &usageError{fmt.Errorf("-o %w", err)}
	}
	lock, err := readLock(o.lockPath())
	if err != nil {
		return err
	}
	subject := &sbom.Subject{
		Name: strings.TrimSuffix(filepath.Base(o.definition), definitionSuffix),
		Kind: "deb", Vendor: cmp.Or(d.Apt.Vendor, "debian"), Time: d.Time, Lock: lock,
	}
	if d.Alpine() {
		subject.Kind, subject.Vendor = "apk", cmp.Or(d.Apk.Vendor, "alpine")
	}
	size, err := writeFile(o.output, func(w io.Writer) error { return write(w, subject) })
	if err != nil {
		return err
	}
	printf(env.Stdout, "%s: %s, %d packages\n", o.output, human.Size(size), len(lock.Packages))
	for i := range d.Layers {
		if l := &d.Layers[i]; len(l.Packages) == 0 {
			warn(env.Stderr, fmt.Sprintf("%s has nothing of the layer %s, which no lock describes",
				o.output, l.Name))
		}
	}
	return nil
}
