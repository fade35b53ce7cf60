package modules

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"deltaup/mkimage/tree"
)

// search finds the modules in the kernel's folder and in those outside that depmod.d names.
func (d *depmod) search() error {
	visited := 0
	if err := d.searchFolder(d.dir, d.real, 0, &visited); err != nil {
		return err
	}
	for _, dir := range d.config.externals {
		if err := d.searchFolder(dir, dir, 0, &visited); err != nil {
			return err
		}
	}
	return nil
}

// Limits of the search: symbolic links may lead in circles, which end at the kernel's limits, too.
const (
	foldersDeep = 64
	foldersMost = 20_000
)

// searchFolder searches a folder: dir is its path as depmod writes it, and real without symbolic
// links.
func (d *depmod) searchFolder(dir, real string, depth int, visited *int) error {
	if *visited++; depth > foldersDeep || *visited > foldersMost {
		return fmt.Errorf("%w: folders below %s lead in a circle", ErrModule, d.dir)
	}
	for _, name := range d.root.Names(real) {
		if name == "build" || name == "source" || slices.Contains(d.config.excludes, name) {
			continue
		}
		e := d.root.Stat(real + "/" + name)
		switch {
		case e == nil:
		case e.Type == tree.Directory:
			if err := d.searchFolder(dir+"/"+name, e.Path, depth+1, visited); err != nil {
				return err
			}
		case e.Type == tree.Regular && d.kmod.reads(name):
			d.add(dir+"/"+name, e)
		}
	}
	return nil
}

// moduleName is what the kernel calls the module in a file.
func moduleName(file string) string {
	name, _, _ := strings.Cut(file[strings.LastIndexByte(file, '/')+1:], ".")
	return strings.ReplaceAll(name, "-", "_")
}

func (d *depmod) add(file string, e *tree.Entry) {
	m := &kernelModule{name: moduleName(file), path: file, rel: file, entry: e}
	if rel, ok := strings.CutPrefix(file, d.dir+"/"); ok {
		m.rel = rel
	}
	if old := d.byName[m.name]; old == nil || d.config.prefers(d.dir, m, old) {
		d.byName[m.name] = m
	}
}

// order brings the modules in the order of modules.order, and those that it lacks behind them in
// the order of kmod's table of names.
func (d *depmod) order() error {
	names := make([]string, 0, len(d.byName))
	for name := range d.byName {
		names = append(names, name)
	}
	if len(names) >= 1<<16-1 {
		return fmt.Errorf("%w: %d modules, and depmod takes 65534", ErrModule, len(names))
	}
	sortByHash(names, 512)
	byPath := map[string]*kernelModule{}
	for _, name := range names {
		m := d.byName[name]
		d.modules = append(d.modules, m)
		if m.rel != m.path {
			cut := strings.LastIndexByte(m.rel, '/') + 1 + len(m.name) + len(".ko")
			byPath[m.rel[:min(cut, len(m.rel))]] = m
		}
	}
	if b, err := d.root.Read(d.dir+"/modules.order", depMax); err == nil {
		d.orderBy(string(b), byPath)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for i, m := range d.modules {
		m.place = i
	}
	return nil
}

// orderBy sorts the modules by a modules.order whose last line is whole.
func (d *depmod) orderBy(text string, byPath map[string]*kernelModule) {
	if !strings.HasSuffix(text, "\n") {
		return
	}
	place := map[*kernelModule]int{}
	n := 0
	for line := range strings.Lines(text) {
		m := byPath[strings.TrimSuffix(line, "\n")]
		if m == nil {
			continue
		}
		if _, again := place[m]; again && d.kmod.version >= 34 {
			continue // from 34 on the first line counts, before the last one
		}
		n++
		place[m] = n
	}
	slices.SortStableFunc(d.modules, func(a, b *kernelModule) int {
		x, y := place[a], place[b]
		if x == 0 {
			x = n + 1
		}
		if y == 0 {
			y = n + 1
		}
		return x - y
	})
}
