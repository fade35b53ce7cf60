// Package alpine resolves the names of Alpine's packages to locked ones, by the distribution's own
// solver. Like package apt, which does the same for Debian, it starts a program: apk(8), with a
// root of its own, so that neither the packages of this machine nor its settings count.
//
// apk solves and does nothing else. It gets indexes that were fetched and verified before, and has
// no network. Since an index does not say what a whole package hashes to, each package of the
// solution is fetched, held against the index and hashed. Begin with [Resolve].
package alpine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"deltaup/mkimage/layers"
	"deltaup/mkimage/layers/apk"
)

// ErrApk is wrapped when apk is not there, or refuses what it is asked for.
var ErrApk = errors.New("apk")

// indexMax is how long an index may be, in bytes as a repository has it.
const indexMax = 128 << 20

// fetchers is how many packages are fetched at once.
const fetchers = 4

// Resolve gives the lock of a definition's packages. It fetches the indexes of the definition's
// repositories, and keeps the packages in the cache. What the former lock names and the cache has
// is not fetched again. It takes the system's folder for temporary files.
func Resolve(ctx context.Context, d *layers.Definition, former *layers.Lock,
	cache *layers.Downloads) (_ *layers.Lock, err error) {
	repositories, err := d.Repositories()
	if err != nil {
		return nil, err
	}
	keys, err := apk.ReadKeys(d.Apk.Keys)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "deltaup-apk-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &root{dir: dir, architecture: d.ApkArchitecture(), keys: d.Apk.Keys}
	for _, at := range repositories {
		if err := r.fetch(ctx, at, keys, cache); err != nil {
			return nil, err
		}
	}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	solved, err := r.solveLayers(ctx, d)
	if err != nil {
		return nil, err
	}
	lock := &layers.Lock{Layers: d.LockedLayers()}
	if lock.Packages, err = take(ctx, solved, keys, former, cache); err != nil {
		return nil, err
	}
	return lock, lock.Sort()
}

// solution is a package that apk has chosen.
type solution struct {
	layer  string
	url    string
	listed apk.Listed
}

// solveLayers gives the packages of all layers. One that an earlier layer has stays as it is: each
// layer's world has what earlier ones were solved to.
func (r *root) solveLayers(ctx context.Context, d *layers.Definition) (all []solution, err error) {
	var world []string
	taken := map[string]bool{}
	for i := range d.Layers {
		l := &d.Layers[i]
		if len(l.Packages) == 0 {
			continue
		}
		world = append(world, l.Packages...)
		found, err := r.solve(ctx, world)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", l.Name, err)
		}
		for _, s := range found {
			if taken[s.listed.Name] {
				continue
			}
			taken[s.listed.Name] = true
			s.layer = l.Name
			all = append(all, s)
			world = append(world, s.listed.Name+"="+s.listed.Version)
		}
	}
	return all, nil
}

// take fetches packages, several at once, and gives them as a lock has them.
func take(ctx context.Context, solved []solution, keys apk.Keys, former *layers.Lock,
	cache *layers.Downloads) ([]layers.Locked, error) {
	list := make([]layers.Locked, len(solved))
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(fetchers)
	for i, s := range solved {
		p := layers.Locked{
			Layer: s.layer, Name: s.listed.Name, Version: s.listed.Version,
			Architecture: s.listed.Architecture, Size: s.listed.Size, URL: s.url,
		}
		known := slices.IndexFunc(former.Packages, func(old layers.Locked) bool {
			return old.Name == p.Name && old.Version == p.Version && old.Size == p.Size &&
				old.Architecture == p.Architecture
		})
		if known >= 0 {
			p.SHA256 = former.Packages[known].SHA256
		}
		g.Go(func() (err error) {
			list[i], err = cache.Take(inner, p, func(path string) error {
				return apk.Verify(inner, path, keys, s.listed)
			})
			return err
		})
	}
	return list, g.Wait()
}
