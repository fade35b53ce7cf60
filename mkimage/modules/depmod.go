package modules

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"

	"deltaup/mkimage/tree"
)

// depMax bounds modules.dep, in bytes. That of a distribution has 1 MB.
const depMax = 64 << 20

// Names of the indexes that have the paths of modules.
const (
	depName = "modules.dep"
	binName = "modules.dep.bin"
)

// indexes makes modules.dep and modules.dep.bin anew where modules below their folder were renamed,
// and sets their sizes. It gives the new bytes of each by its entry. A tree without modules.dep
// gets none: something else makes it.
func (p *plainTree) indexes(entries []tree.Entry, renamed map[string]string) (map[int][]byte, error) {
	made := map[int][]byte{}
	for i := range entries {
		dir, name := path.Split(entries[i].Path)
		if name != depName || !isVersionDir(dir) {
			continue
		}
		if entries[i].Type != tree.Regular || entries[i].Link != "" {
			return nil, fmt.Errorf("%w: /%s is no file of its own", ErrModule, entries[i].Path)
		}
		b, err := p.read(i, entries[i].Size)
		if err != nil {
			return nil, err
		}
		dep, err := parseDep(b)
		if err != nil {
			return nil, fmt.Errorf("%w: /%s: %w", ErrModule, entries[i].Path, err)
		}
		if !dep.rename(dir, renamed) {
			continue
		}
		made[i] = dep.text()
		for j := range entries {
			if entries[j].Path == dir+binName && entries[j].Type == tree.Regular {
				if made[j], err = dep.index(); err != nil {
					return nil, fmt.Errorf("%w: /%s: %w", ErrModule, entries[j].Path, err)
				}
			}
		}
	}
	for i, b := range made {
		entries[i].Size = int64(len(b))
	}
	return made, nil
}

// isVersionDir tells whether dir, with a slash at its end, is the folder of one kernel's modules.
func isVersionDir(dir string) bool {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(dir, "usr/"), "lib/modules/")
	return ok && strings.Count(rest, "/") == 1
}

// read reads entry i of the tree below, which has size bytes.
func (p *plainTree) read(i int, size int64) ([]byte, error) {
	if size > depMax {
		return nil, fmt.Errorf("%w: /%s has more than %d MiB", ErrModule,
			p.Tree.Entries()[i].Path, depMax>>20)
	}
	r, err := p.Tree.Open(i)
	if err != nil {
		return nil, err
	}
	defer r.Close() // it is only read
	return io.ReadAll(r)
}

// dep is a modules.dep, modules.dep(5): a line a module, with the modules that it needs.
type dep []depLine

type depLine struct {
	module string   // path, relative to the folder of modules.dep or absolute
	needs  []string // paths
}

func parseDep(b []byte) (dep, error) {
	var d dep
	for line := range strings.Lines(string(b)) {
		module, needs, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if !ok || module == "" || strings.IndexByte(line, 0) >= 0 {
			return nil, fmt.Errorf("line %d: wanted is MODULE: and the modules that it needs", len(d)+1)
		}
		d = append(d, depLine{module, strings.Fields(needs)})
	}
	return d, nil
}

// rename gives the modules their new names, and tells whether there was one.
func (d dep) rename(dir string, renamed map[string]string) bool {
	found := false
	plain := func(name string) string {
		old := dir + name
		if strings.HasPrefix(name, "/") {
			old = name[1:]
		}
		if _, ok := renamed[old]; !ok {
			return name
		}
		found = true
		return strings.TrimSuffix(name, suffix(name))
	}
	for i := range d {
		d[i].module = plain(d[i].module)
		for j := range d[i].needs {
			d[i].needs[j] = plain(d[i].needs[j])
		}
	}
	return found
}

func (l depLine) String() string {
	return strings.Join(append([]string{l.module + ":"}, l.needs...), " ")
}

// text is the modules.dep that depmod writes.
func (d dep) text() []byte {
	var b bytes.Buffer
	for _, l := range d {
		b.WriteString(l.String())
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// index is the modules.dep.bin that depmod writes: the lines by the modules' names, in which the
// kernel takes a dash for an underscore. A line's priority is its place.
func (d dep) index() ([]byte, error) {
	t := newTrie()
	for i, l := range d {
		name, _, _ := strings.Cut(path.Base(l.module), ".")
		t.insert(strings.ReplaceAll(name, "-", "_"), uint32(i), l.String())
	}
	return t.encode(indexMax)
}
