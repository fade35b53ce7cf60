//go:build !target

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"

	"deltaup/internal/durable"
	"deltaup/mkimage/layers"
	"deltaup/mkimage/layers/alpine"
	"deltaup/mkimage/layers/apt"
	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/tree"
)

// lockPath is where the lock of a definition lies.
func (o *layersOptions) lockPath() string {
	if o.lock != "" {
		return o.lock
	}
	return strings.TrimSuffix(o.definition, definitionSuffix) + ".lock"
}

// open reads a definition and its lock, and refuses an output that cannot be.
func (o *layersOptions) open(env *Env) (*layers.Definition, layers.Options, error) {
	var options layers.Options
	d, err := layers.ReadDefinition(o.definition)
	if err != nil {
		return nil, options, err
	}
	if err := o.checkOutput(d); err != nil {
		return nil, options, &usageError{fmt.Errorf("-o %w", err)}
	}
	options.Lock, err = readLock(o.lockPath())
	if errors.Is(err, errNoLock) && o.lock == "" && !d.NeedsLock() {
		err = nil
	}
	if err != nil {
		return nil, options, err
	}
	cache := &layers.Downloads{}
	if cache.Dir, err = o.cacheFolder(); err != nil {
		return nil, options, err
	}
	debug.SetMemoryLimit(layersMemory)
	options.Keychain = authn.DefaultKeychain
	options.Cache = filepath.Join(cache.Dir, containersFolder)
	options.Package = cache.Path
	options.Outputs = o.outputs
	status := newStatusLine(env)
	options.Progress = func(done, total int64) {
		if status.show("packages", done, total); done == total {
			status.clear()
		}
	}
	return d, options, nil
}

// layersMemory is what composing may take before memory is collected more often, in bytes.
const layersMemory = 240 << 20

// containersFolder is the folder in the cache for what comes from registries.
const containersFolder = "containers"

// cacheFolder is the folder that keeps packages and containers.
func (o *layersOptions) cacheFolder() (string, error) {
	if o.cache != "" {
		return o.cache, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", &usageError{fmt.Errorf("%w; --cache names a folder", err)}
	}
	return filepath.Join(dir, "deltaup", "packages"), nil
}

// errNoLock is wrapped when a definition has no lock.
var errNoLock = errors.New("there is no lock")

func readLock(path string) (*layers.Lock, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, errNoLock)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	l, err := layers.ReadLock(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

func runLayersLock(ctx context.Context, env *Env, o *layersOptions) error {
	d, err := layers.ReadDefinition(o.definition)
	if err != nil {
		return err
	}
	old, err := readLock(o.lockPath())
	switch {
	case errors.Is(err, errNoLock), errors.Is(err, layers.ErrLock) && o.update:
		old = &layers.Lock{}
	case err != nil:
		return err
	case !o.update:
		return &usageError{fmt.Errorf("%s is there; --update replaces it and shows what changes",
			o.lockPath())}
	}
	cache, err := o.cacheFolder()
	if err != nil {
		return err
	}
	lock := &layers.Lock{}
	switch {
	case !d.HasPackages():
	case d.Alpine():
		lock, err = alpine.Resolve(ctx, d, old, &layers.Downloads{Dir: cache})
	default:
		lock, err = apt.Resolve(ctx, d)
	}
	if err != nil {
		return err
	}
	options := layers.Options{
		Cache: filepath.Join(cache, containersFolder), Keychain: authn.DefaultKeychain,
	}
	if err := d.LockContainers(ctx, lock, options); err != nil {
		return err
	}
	write := func(w io.Writer) error {
		_, err := lock.WriteTo(w)
		return err
	}
	if err := durable.WriteFile(filepath.Dir(o.lockPath()), o.lockPath(), write); err != nil {
		return err
	}
	for _, c := range lock.Changes(old) {
		switch {
		case !o.update:
		case c.Old == "":
			printf(env.Stdout, "+ %s %s\n", c.Name, c.New)
		case c.New == "":
			printf(env.Stdout, "- %s %s\n", c.Name, c.Old)
		default:
			printf(env.Stdout, "  %s %s -> %s\n", c.Name, c.Old, c.New)
		}
	}
	printf(env.Stdout, "%s: %d packages, %d containers\n", o.lockPath(), len(lock.Packages),
		len(lock.Containers))
	return nil
}

// compose gives the definition and its tree.
func (o *layersOptions) compose(ctx context.Context,
	env *Env) (*layers.Definition, tree.Tree, error) {
	d, options, err := o.open(env)
	if err != nil {
		return nil, nil, err
	}
	t, err := o.composeDefinition(ctx, d, options)
	return d, t, err
}

// composeDefinition gives the tree of a definition that was read.
func (o *layersOptions) composeDefinition(ctx context.Context, d *layers.Definition,
	options layers.Options) (tree.Tree, error) {
	t, err := layers.Compose(ctx, d, options)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // whatever was at work then
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.definition, err)
	}
	return t, nil
}

func runLayersHooks(ctx context.Context, env *Env, o *layersOptions) error {
	d, options, err := o.open(env)
	if err != nil {
		return err
	}
	hooks, err := layers.Hooks(ctx, d, options)
	if err != nil {
		return fmt.Errorf("%s: %w", o.definition, err)
	}
	known, acknowledged := 0, 0
	for _, h := range hooks {
		switch {
		case h.Acknowledged:
			acknowledged++
		case len(h.Rest) == 0:
			known++
		}
	}
	if o.json {
		return printJSON(env.Stdout, hooks)
	}
	for _, h := range hooks {
		if (h.Acknowledged || len(h.Rest) == 0) && !o.all {
			continue
		}
		printf(env.Stdout, "%s %s\n", h.Package, h.Script)
		for _, line := range h.Rest {
			printf(env.Stdout, "    %s\n", line)
		}
		if !h.Acknowledged && len(h.Rest) > 0 {
			printf(env.Stdout, "\n[[ack]]\npackage = %q\nscript = %q\nsha256 = %q\nwhy = \"\"\n\n",
				h.Package, h.Script, h.SHA256)
		}
	}
	printf(env.Stdout, "%d scripts: %d known, %d acknowledged, %d left\n", len(hooks), known,
		acknowledged, len(hooks)-known-acknowledged)
	return nil
}

func runLayersCompare(ctx context.Context, env *Env, o *layersOptions) error {
	if o.tree == "" {
		return &usageError{errors.New("layers compare needs --tree")}
	}
	d, options, err := o.open(env)
	if err != nil {
		return err
	}
	t, err := o.composeDefinition(ctx, d, options)
	if err != nil {
		return err
	}
	defer t.Close() // it is only read
	other, err := rootfs.Open(ctx, o.tree, rootfs.Options{})
	if err != nil {
		return err
	}
	defer other.Close()
	list, err := layers.Compare(t, other)
	if err != nil {
		return err
	}
	bare, err := layers.Stack(ctx, d, options)
	if err != nil {
		return err
	}
	wanted, alike, err := layers.Made(bare, t, other)
	if err := errors.Join(err, bare.Close()); err != nil {
		return err
	}
	if o.json {
		return printJSON(env.Stdout, list)
	}
	if len(list) == 0 {
		printf(env.Stdout, "no difference\n")
		return nil
	}
	counts := map[string]int{}
	for _, d := range list {
		counts[d.Cause]++
		if d.Unwanted {
			continue
		}
		if d.What != "" {
			d.What = ": " + d.What
		}
		printf(env.Stdout, "%-10s /%s%s\n", d.Kind, d.Path, d.What)
	}
	printf(env.Stdout, "\n")
	for _, cause := range layers.Causes {
		if n := counts[cause]; n > 0 {
			printf(env.Stdout, "%6d %s\n", n, cause)
		}
	}
	printf(env.Stdout, "\n%d wanted paths are made by hooks, %d of them alike here\n", wanted, alike)
	return nil
}
