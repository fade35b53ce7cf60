// Package layers composes the tree of a root file system from packages, folders, archives and
// images by declared rules. It runs no script of any package and starts no process. So anybody may
// compose, and the same definition and lock give the same tree on any machine.
//
// Begin with [ReadDefinition] and [ReadLock], then [Compose]. Packages apt and alpine make locks,
// by the distribution's own solver.
//
// What packages' scripts would have done, rules do: see [Definition]. A script that neither the
// rules cover nor the definition acknowledges stops the composition, see [Hooks].
package layers

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"

	"deltaup/mkimage/layers/apk"
	"deltaup/mkimage/layers/oci"
	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/tree"
)

var (
	// ErrDefinition is wrapped by errors about what a definition says.
	ErrDefinition = errors.New("definition")
	// ErrConflict is wrapped when two layers do not agree about a path.
	ErrConflict = errors.New("conflict")
	// ErrHooks is wrapped when scripts of packages are not accounted for.
	ErrHooks = errors.New("scripts that nothing covers")
	// ErrForbidden is wrapped when a tree has what no image for many machines may have.
	ErrForbidden = errors.New("not in an image")
	// ErrLock is wrapped when a lock is damaged, or does not belong to the definition.
	ErrLock = errors.New("lock")
	// ErrUnreachable is wrapped when the server of a package gives no answer, or refuses one.
	ErrUnreachable = errors.New("no answer")
	// ErrGone is wrapped when the server of a package does not have it.
	ErrGone = errors.New("it is not there")
)

// Options are what composing takes beside the definition.
type Options struct {
	Lock *Lock // of the definition's packages; nil: it has none
	// Package gives the path of a locked package on this machine. Several calls may run at once.
	Package func(context.Context, Locked) (path string, err error)
	// Progress is told how many bytes of a layer's packages have been read. nil: nobody looks.
	Progress func(done, total int64)
	// Cache is a folder for what comes from registries of container images.
	Cache string
	// Keychain knows users of registries; nil: nobody is one.
	Keychain authn.Keychain
	// Outputs are files that the caller writes, which are left out of folders.
	Outputs []string
}

// Compose gives the tree of a definition. Closing it frees the room that the packages take in the
// system's folder for temporary files.
func Compose(ctx context.Context, d *Definition, o Options) (tree.Tree, error) {
	c := &composition{ctx: ctx, definition: d, stage: newStage(d.Time)}
	err := c.compose(ctx, o)
	if err != nil {
		return nil, errors.Join(err, c.stage.Close())
	}
	return c.stage.tree(), nil
}

// Stack gives the tree of a definition's layers alone: what rules and scripts would add is missing.
// Closing it does what it does with that of [Compose].
func Stack(ctx context.Context, d *Definition, o Options) (tree.Tree, error) {
	c := &composition{ctx: ctx, definition: d, stage: newStage(d.Time)}
	if err := c.stack(ctx, o); err != nil {
		return nil, errors.Join(err, c.stage.Close())
	}
	return c.stage.tree(), nil
}

// composition is a definition at work.
type composition struct {
	ctx        context.Context
	definition *Definition
	stage      *stage
	packages   []*installed // of all layers, in their order
	keys       apk.Keys     // of Alpine's packages; nil: nobody need have signed them
	// systemd of the tree looks for units in lib before usr/lib, as Debian's did until version 12
	splitUsr bool
	// fontconfig's caches are made
	fontCaches bool
}

// stack puts all layers upon one another.
func (c *composition) stack(ctx context.Context, o Options) (err error) {
	if err := o.Lock.fits(c.definition); err != nil {
		return err
	}
	if keys := c.definition.Apk.Keys; keys != "" {
		if c.keys, err = apk.ReadKeys(keys); err != nil {
			return err
		}
	}
	c.stage.mergedUsr = c.definition.Rules.MergedUsr
	for i := range c.definition.Layers {
		l := &c.definition.Layers[i]
		if err := c.layer(ctx, l, o); err != nil {
			return fmt.Errorf("layer %s: %w", l.Name, err)
		}
	}
	return nil
}

func (c *composition) compose(ctx context.Context, o Options) error {
	if err := c.stack(ctx, o); err != nil {
		return err
	}
	if err := c.rule(ctx); err != nil {
		return err
	}
	return errors.Join(c.accountForScripts(), c.stage.check())
}

// rule applies all rules that are on.
func (c *composition) rule(ctx context.Context) error {
	for _, r := range rules {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.on != nil && !r.on(&c.definition.Rules) {
			continue
		}
		if err := r.apply(c); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// tasks gives the work of all packages that are there, and then that of the image.
func (c *composition) tasks() (list []*Tasks) {
	there := map[string]bool{}
	for _, p := range c.packages {
		there[p.name] = true
	}
	d := c.definition
	for i := range d.Packages {
		if there[d.Packages[i].Name] {
			list = append(list, &d.Packages[i].Tasks)
		}
	}
	return append(list, &d.Tasks)
}

// layer puts a layer upon those before.
func (c *composition) layer(ctx context.Context, l *Layer, o Options) error {
	trees, err := c.open(ctx, l, o)
	if err != nil {
		return err
	}
	replaced := map[string]string{}
	for _, r := range c.definition.Replace {
		replaced[r.Path] = r.From
	}
	return c.stage.merge(l, trees, &choices{findDiversions(c.packages), replaced})
}

// named is a tree, and what it is called in messages.
type named struct {
	name string
	tree.Tree
}

// open opens what a layer is made from. The stage closes it.
func (c *composition) open(ctx context.Context, l *Layer, o Options) ([]named, error) {
	path := l.Folder + l.Archive + l.Image // one of them
	if len(l.Packages)+len(l.Files) > 0 {
		return c.openPackages(ctx, l, o)
	}
	var t tree.Tree
	var err error
	if l.Container != "" {
		t, err = c.openContainer(ctx, l, o)
	} else {
		t, err = rootfs.Open(ctx, path, rootfs.Options{
			Filter: rootfs.Filter{Exclude: l.Exclude, Include: l.Include},
			Subdir: l.Subdir, Clamp: &c.definition.Time, Owner: l.owner, Outputs: o.Outputs,
		})
	}
	if err != nil {
		return nil, err
	}
	c.stage.closers = append(c.stage.closers, t)
	return []named{{l.Name, t}}, nil
}

// openContainer opens a container image. That of a registry must be locked.
func (c *composition) openContainer(ctx context.Context, l *Layer, o Options) (tree.Tree, error) {
	ref, err := oci.ParseReference(l.Container)
	if err != nil {
		return nil, err
	}
	options := oci.Options{
		Architecture: c.definition.Architecture, Clamp: &c.definition.Time, Cache: o.Cache,
		Keychain: o.Keychain,
	}
	if o.Lock != nil && ref.Digest == "" {
		options.Digest = o.Lock.container(l.Name, l.Container)
	}
	return oci.Open(ctx, ref, options)
}
