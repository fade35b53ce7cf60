package modules

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/tree"
)

// File is one that depmod(8) makes.
type File struct {
	Path    string // in the tree
	Content []byte
}

// Versions gives the kernels that a tree has modules of, as the names below lib/modules, in path
// order.
func Versions(t tree.Tree) []string {
	root := lookup.New(t)
	var found []string
	for _, name := range root.Names("lib/modules") {
		if e := root.Stat("lib/modules/" + name); e != nil && e.Type == tree.Directory {
			found = append(found, name)
		}
	}
	return found
}

// Depmod makes the files that depmod(8) makes for one kernel's modules, byte for byte as the kmod
// in the tree does: the order of some changed with kmod's versions. A tree without kmod gets what
// the newest known version makes. The order is that in which depmod writes them.
//
// Where several modules have one name, and depmod.d does not say which counts, depmod takes the one
// that the file system lists first, and Depmod the first in path order. Errors wrap ErrModule, or
// are those of the tree, which stays open.
func Depmod(ctx context.Context, t tree.Tree, version string) ([]File, error) {
	d := &depmod{root: lookup.New(t), byName: map[string]*kernelModule{}}
	dir := d.root.Stat("lib/modules/" + version)
	if version == "" || version == "." || version == ".." || strings.Contains(version, "/") ||
		dir == nil || dir.Type != tree.Directory {
		return nil, fmt.Errorf("%w: the tree has no folder lib/modules/%s", ErrModule, version)
	}
	d.version, d.real = version, dir.Path
	d.dir = "/lib/modules/" + version
	var err error
	if d.kmod, err = findKmod(d.root); err != nil {
		return nil, err
	}
	if err := d.configure(); err != nil {
		return nil, err
	}
	if err := d.search(); err != nil {
		return nil, err
	}
	if err := d.order(); err != nil {
		return nil, err
	}
	if err := d.read(ctx); err != nil {
		return nil, err
	}
	if err := d.resolve(); err != nil {
		return nil, err
	}
	return d.output()
}

// depmod makes the files of one kernel.
type depmod struct {
	root    *lookup.View
	version string
	dir     string // "/lib/modules/VERSION"
	real    string // path of dir in the tree, without symbolic links
	kmod    kmod
	config  depmodConfig
	byName  map[string]*kernelModule
	modules []*kernelModule // in the order of the files
	owners  map[string]*kernelModule
}

// kernelModule is what depmod knows about a module.
type kernelModule struct {
	name     string // as the kernel calls it
	path     string // with a leading slash
	rel      string // as modules.dep has it: path below the kernel's folder, or all of it
	entry    *tree.Entry
	place    int // in depmod.modules
	info     moduleInfo
	needs    []*kernelModule
	users    int
	depPlace int // in the order by dependencies
}

// read reads all modules, and notes which one exports a symbol: the last that does.
func (d *depmod) read(ctx context.Context) error {
	// infoMax bounds what all modules say, in bytes. Those of a Debian kernel say 8 MB.
	const infoMax = 256 << 20
	var size atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, m := range d.modules {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			b, err := d.content(m)
			if err != nil {
				return fmt.Errorf("%w: %s: %w", ErrModule, m.path, err)
			}
			m.info = parseModule(b)
			if size.Add(m.info.size()) > infoMax {
				return fmt.Errorf("%w: symbols and aliases below %s have more than %d MiB", ErrModule,
					d.dir, infoMax>>20)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	d.owners = map[string]*kernelModule{}
	for _, m := range d.modules {
		for _, symbol := range m.info.exports {
			d.owners[symbol] = m
		}
	}
	return nil
}

// resolve finds what each module needs, and sorts the modules so that each is before those that it
// needs: depmod lists what a module needs in this order.
func (d *depmod) resolve() error {
	for _, m := range d.modules {
		seen := map[*kernelModule]bool{}
		for _, symbol := range m.info.needs {
			if owner := d.owners[strings.TrimPrefix(symbol, ".")]; owner != nil && !seen[owner] {
				seen[owner] = true
				m.needs = append(m.needs, owner)
				owner.users++
			}
		}
	}
	users := make([]int, len(d.modules))
	var roots []*kernelModule
	for i, m := range d.modules {
		if users[i] = m.users; users[i] == 0 {
			roots = append(roots, m)
		}
	}
	sorted := 0
	for ; len(roots) > 0; sorted++ {
		m := roots[len(roots)-1]
		roots = roots[:len(roots)-1]
		m.depPlace = sorted
		for _, needed := range m.needs {
			if users[needed.place]--; users[needed.place] == 0 {
				roots = append(roots, needed)
			}
		}
	}
	if sorted < len(d.modules) {
		return fmt.Errorf("%w: %d modules below %s need each other in a circle", ErrModule,
			len(d.modules)-sorted, d.dir)
	}
	return nil
}

// all gives the modules that m needs, and that these need, in the order of modules.dep.
func (m *kernelModule) all() []*kernelModule {
	seen := map[*kernelModule]bool{}
	var found []*kernelModule
	var visit func(m *kernelModule)
	visit = func(m *kernelModule) {
		for _, n := range m.needs {
			if !seen[n] {
				seen[n] = true
				found = append(found, n)
				visit(n)
			}
		}
	}
	visit(m)
	slices.SortFunc(found, func(a, b *kernelModule) int { return a.depPlace - b.depPlace })
	return found
}
