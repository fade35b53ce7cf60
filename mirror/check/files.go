package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
)

// list gives the names of the mirror's files of one folder, without the suffix.
func (c *checker) list(folder, suffix string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(c.dir, folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok && mirror.ValidName(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// walk lists all files of the mirror but hidden ones and those of tmp/.
func (c *checker) walk() (map[string]int64, error) {
	files := map[string]int64{}
	err := fs.WalkDir(os.DirFS(c.dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name != "." && (strings.HasPrefix(d.Name(), ".") || name == mirror.TmpDir) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a file that was replaced meanwhile
		}
		if err != nil {
			return err
		}
		files[name] = info.Size()
		return nil
	})
	return files, err
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
	f, err := os.Open(c.path(name))
	if err != nil {
		return err
	}
	defer f.Close()
	if kind == mirror.PacksDir {
		if err := checkFrames(ctx, f, c.files[name]); err != nil {
			return err
		}
	}
	got, err := verify.Hash(ctx, f, func(n int) { c.step(int64(n)) })
	if err != nil {
		return err
	}
	if got != id {
		return fmt.Errorf("has the hash %s", got)
	}
	return nil
}
