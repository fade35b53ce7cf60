package initramfs

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"path"
	"strings"

	"deltaup/mkimage/layers/ldcache"
	"deltaup/mkimage/tree"
)

// linker finds the libraries that programs need, as their dynamic linker does.
type linker struct {
	*selection
	folders []string
	known   map[string]*ldcache.Dynamic // by path; nil: no ELF file
	seen    map[string]bool
	queue   []wanting
}

// wanting is a file whose libraries are to be found. A library's are also looked for in the folders
// of the programs that need it, where these have an RPATH.
type wanting struct {
	entry   *tree.Entry
	folders []string
}

// wantingMax is how many files are looked at. Trees have no more; each costs one read.
const wantingMax = 1 << 16

// takeLibraries takes what the files that are there need: dynamic linkers, libraries, and theirs,
// and the interpreters of scripts.
func (in *selection) takeLibraries(t tree.Tree) error {
	l := &linker{selection: in, known: map[string]*ldcache.Dynamic{}, seen: map[string]bool{}}
	var err error
	if l.folders, err = ldcache.Folders(t); err != nil {
		return err
	}
	for {
		for _, e := range in.fresh {
			l.queue = append(l.queue, wanting{entry: e})
		}
		in.fresh = nil
		if len(l.queue) == 0 {
			return nil
		}
		w := l.queue[0]
		l.queue = l.queue[1:]
		if l.seen[w.entry.Path] {
			continue
		}
		if l.seen[w.entry.Path] = true; len(l.seen) > wantingMax {
			return wrong("more than %d files", wantingMax)
		}
		if err := l.satisfy(w); err != nil {
			return err
		}
	}
}

// satisfy takes what one file needs.
func (l *linker) satisfy(w wanting) error {
	if isModule(w.entry.Path) {
		return nil
	}
	d, err := l.read(w.entry)
	if err != nil {
		return err
	}
	if d == nil {
		return l.script(w.entry)
	}
	if d.Interpreter != "" {
		if _, err := l.take(d.Interpreter); err != nil {
			return wrong("/%s: its dynamic linker: %w", w.entry.Path, err)
		}
	}
	origin := "/" + strings.TrimSuffix(path.Dir(w.entry.Path), "/")
	own := append(expand(d.RPath, origin), w.folders...)
	folders := append(append(own[:len(own):len(own)], expand(d.RunPath, origin)...), l.folders...)
	for _, name := range d.Needs {
		if d.Interpreter != "" && name == path.Base(d.Interpreter) {
			continue // it is there when the program runs
		}
		at, err := l.find(name, origin, folders, d)
		if err != nil {
			return err
		}
		if at == "" {
			return wrong("/%s needs the library %s, which the tree lacks", w.entry.Path, name)
		}
		e, err := l.take(at)
		if err != nil {
			return wrong("%w", err)
		}
		l.queue = append(l.queue, wanting{e, own})
	}
	return nil
}

// find gives the path of the first library with a name that the linker would take for a file; "":
// there is none.
func (l *linker) find(name, origin string, folders []string, of *ldcache.Dynamic) (string, error) {
	if strings.Contains(name, "/") {
		folders, name = []string{""}, expand([]string{name}, origin)[0]
	}
	for _, dir := range folders {
		at := path.Join("/", dir, name)
		e := l.root.Stat(at)
		if e == nil || e.Type != tree.Regular {
			continue
		}
		d, err := l.read(e)
		if err != nil {
			return "", err
		}
		if d != nil && d.Class == of.Class && d.Machine == of.Machine {
			return at, nil
		}
	}
	return "", nil
}

// expand replaces the linker's words in the folders of an RPATH. An empty one would be the folder
// where a program was started from, which has no libraries.
func expand(dirs []string, origin string) (list []string) {
	for _, dir := range dirs {
		dir = strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin).Replace(dir)
		if !strings.Contains(dir, "$LIB") && !strings.Contains(dir, "${LIB}") {
			if strings.HasPrefix(dir, "/") {
				list = append(list, dir)
			}
			continue
		}
		for _, lib := range []string{"lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64", "lib"} {
			at := strings.NewReplacer("$LIB", lib, "${LIB}", lib).Replace(dir)
			list = append(list, at)
		}
	}
	return list
}

func (l *linker) read(e *tree.Entry) (*ldcache.Dynamic, error) {
	if d, ok := l.known[e.Path]; ok {
		return d, nil
	}
	d, err := ldcache.ReadDynamic(l.root, e)
	if err != nil {
		return nil, err
	}
	if d != nil && d.Class != elf.ELFCLASS32 && d.Class != elf.ELFCLASS64 {
		d = nil
	}
	l.known[e.Path] = d
	return d, nil
}

// scriptMax is how many bytes of a script's first line the kernel reads.
const scriptMax = 256

// script takes the interpreter that a script names. A file that is none needs nothing.
func (l *linker) script(e *tree.Entry) error {
	if e.Mode&0o111 == 0 {
		return nil
	}
	r, err := l.root.Open(e)
	if err != nil {
		return err
	}
	head, err := io.ReadAll(io.LimitReader(r, scriptMax))
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	name, ok := interpreter(head)
	if !ok {
		return nil
	}
	if _, err := l.take(name); err != nil {
		return wrong("/%s: its interpreter: %w", e.Path, err)
	}
	return nil
}

// interpreter gives the path of the program that a script's first line names.
func interpreter(head []byte) (string, bool) {
	rest, ok := bytes.CutPrefix(head, []byte("#!"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	words := strings.Fields(string(line))
	if !ok || len(words) == 0 || !strings.HasPrefix(words[0], "/") {
		return "", false
	}
	return words[0], true
}
