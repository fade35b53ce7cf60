package check

import (
	"context"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
)

// list gives the names of the mirror's files of one folder, without the suffix.
func (c *checker) list(ctx context.Context, folder, suffix string) ([]string, error) {
	entries, err := c.mirror.List(ctx, folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(strings.TrimPrefix(e.Name, folder+"/"), suffix)
		if ok && mirror.ValidName(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// walk lists all files of the mirror and their sizes.
func (c *checker) walk(ctx context.Context) (map[string]int64, error) {
	entries, err := c.mirror.List(ctx, "")
	if err != nil {
		return nil, err
	}
	files := map[string]int64{}
	for _, e := range entries {
		files[e.Name] = e.Size
	}
	return files, nil
}

// hashNamed verifies all files that are named by their hash, packs with all that is in them.
func (c *checker) hashNamed(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		kind, id, ok := mirror.HashName(name)
		if !ok {
			continue
		}
		g.Go(func() error {
			err := c.hashed(ctx, name, kind, id)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				c.damage(name, err.Error())
			}
			return nil
		})
	}
	return g.Wait()
}

// hashed verifies one file that is named by its hash.
func (c *checker) hashed(ctx context.Context, name, kind string, id chunkstore.ID) error {
	f, err := c.mirror.Open(ctx, name)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	if kind == mirror.PacksDir {
		if err := checkFrames(ctx, f, f.Size()); err != nil {
			return err
		}
	}
	got, err := verify.Hash(ctx, io.NewSectionReader(f, 0, f.Size()),
		func(n int) { c.step(int64(n)) })
	if err != nil {
		return err
	}
	if got != id {
		return fmt.Errorf("has the hash %s", got)
	}
	return nil
}
