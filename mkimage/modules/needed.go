package modules

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/tree"
)

// Needed gives the paths of the modules of one kernel with these names, or with aliases that match
// them, and of all that they need: by modules.dep, and by modules.softdep where the tree has that.
// Paths are in path order, below lib/modules/VERSION. unknown are the names that neither a module
// nor the kernel itself has. Errors wrap ErrModule, or are those of the tree, which stays open.
func Needed(t tree.Tree, version string, names []string) (paths, unknown []string, err error) {
	root := lookup.New(t)
	n := &needed{dir: "lib/modules/" + version, modules: map[string]*neededModule{},
		builtin: map[string]bool{}}
	if err := n.read(root); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrModule, err)
	}
	paths, unknown = n.closure(names)
	return paths, unknown, nil
}

// needed finds modules by the indexes of one kernel.
type needed struct {
	dir     string
	modules map[string]*neededModule // by name
	builtin map[string]bool          // names and aliases of those in the kernel itself
	aliases []moduleAlias
	queue   []*neededModule // taken, and what they need not yet
}

type neededModule struct {
	path  string // as modules.dep has it
	needs []string
	soft  []string // names
	taken bool
}

type moduleAlias struct{ pattern, module string }

// read reads the indexes. modules.dep must be there.
func (n *needed) read(root *lookup.View) error {
	b, err := root.Read(n.dir+"/"+depName, depMax)
	if err != nil {
		return err
	}
	lines, err := parseDep(b)
	if err != nil {
		return fmt.Errorf("/%s/%s: %w", n.dir, depName, err)
	}
	n.addDep(lines)
	for name, parse := range map[string]func(text []byte){
		"modules.softdep": n.parseSoftdeps, "modules.alias": n.parseAliases,
		"modules.builtin": n.parseBuiltin, "modules.builtin.modinfo": n.parseBuiltinInfo,
	} {
		b, err := root.Read(n.dir+"/"+name, depMax)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		parse(b)
	}
	return nil
}

func (n *needed) addDep(d dep) {
	for _, l := range d {
		n.modules[moduleName(l.module)] = &neededModule{path: l.module, needs: l.needs}
	}
}

// parseSoftdeps reads lines "softdep NAME pre: NAME... post: NAME...".
func (n *needed) parseSoftdeps(text []byte) {
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "softdep" {
			continue
		}
		m := n.modules[moduleName(words[1])]
		for _, w := range words[2:] {
			if m != nil && w != "pre:" && w != "post:" {
				m.soft = append(m.soft, w)
			}
		}
	}
}

// parseAliases reads lines "alias PATTERN MODULE".
func (n *needed) parseAliases(text []byte) {
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 3 && words[0] == "alias" {
			n.aliases = append(n.aliases, moduleAlias{words[1], words[2]})
		}
	}
}

func (n *needed) parseBuiltin(text []byte) {
	for line := range strings.Lines(string(text)) {
		n.builtin[moduleName(strings.TrimSpace(line))] = true
	}
}

// parseBuiltinInfo reads texts "MODULE.KEY=VALUE", each with a zero behind it.
func (n *needed) parseBuiltinInfo(b []byte) {
	for _, text := range bytes.Split(b, []byte{0}) {
		key, value, _ := strings.Cut(string(text), "=")
		if strings.HasSuffix(key, ".alias") {
			n.builtin[value] = true
		}
	}
}

// closure gives the paths of modules with these names and of all that they need.
func (n *needed) closure(names []string) (paths, unknown []string) {
	for _, name := range names {
		if !n.take(name) {
			unknown = append(unknown, name)
		}
	}
	for len(n.queue) > 0 {
		m := n.queue[len(n.queue)-1]
		n.queue = n.queue[:len(n.queue)-1]
		for _, p := range m.needs {
			n.take(moduleName(p))
		}
		for _, name := range m.soft {
			n.take(name) // one that is not there is no loss
		}
	}
	for _, m := range n.modules {
		if m.taken {
			paths = append(paths, n.path(m.path))
		}
	}
	slices.SortFunc(paths, tree.Compare)
	return paths, unknown
}

// take takes the module with a name, or those with an alias that matches it. It tells whether there
// is one, be it in the kernel itself.
func (n *needed) take(name string) bool {
	plain := strings.ReplaceAll(name, "-", "_")
	if m := n.modules[plain]; m != nil {
		n.add(m)
		return true
	}
	found := n.builtin[plain] || n.builtin[name]
	for _, a := range n.aliases {
		ok, err := path.Match(a.pattern, name)
		if m := n.modules[moduleName(a.module)]; ok && err == nil && m != nil {
			n.add(m)
			found = true
		}
	}
	return found
}

func (n *needed) add(m *neededModule) {
	if !m.taken {
		m.taken = true
		n.queue = append(n.queue, m)
	}
}

// path gives the path in the tree of one that modules.dep has.
func (n *needed) path(name string) string {
	if strings.HasPrefix(name, "/") {
		return name[1:]
	}
	return n.dir + "/" + name
}
