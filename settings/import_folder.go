package settings

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"deltaup/internal/folder"
	"deltaup/internal/plainfile"
	"deltaup/settings/overlay"
)

// folderImport is a folder: any, a git working tree, or the upper folder of an overlay, whose
// whiteouts are taken as removed paths.
type folderImport struct{ dir string }

const gitFolder = ".git"

func (f *folderImport) walk(ctx context.Context, fn func(*item) error) error {
	name, err := filepath.EvalSymlinks(f.dir)
	if err != nil {
		return err
	}
	top, err := folder.Open(name)
	if err != nil {
		return err
	}
	defer top.Close() // only read
	attributes, err := readAttributes(filepath.Join(name, attributesFile))
	if err != nil {
		return err
	}
	_, noGit := os.Lstat(filepath.Join(name, gitFolder))
	w := &folderWalk{attributes, noGit == nil && attributes == nil, fn}
	// What an export to git has besides the files: folders, which may be empty, and what is gone.
	for _, p := range slices.Sorted(maps.Keys(attributes)) {
		if e := attributes[p]; e.Kind == Folder || e.Kind == Gone {
			if err := fn(&item{name: p[1:], entry: e}); err != nil {
				return err
			}
		}
	}
	r := overlay.Reader{
		Enter: func(name string) overlay.Visit {
			if path.Base(name) == gitFolder {
				return overlay.Pass
			}
			return overlay.Must
		},
		Each: w.each,
	}
	return r.Read(ctx, top)
}

type folderWalk struct {
	attributes map[string]Entry // of an export to git; nil: it is none
	checkout   bool             // a git working tree: owners are those of who cloned it
	fn         func(*item) error
}

func (w *folderWalk) each(i *overlay.Item) error {
	if i.Path == "" || path.Base(i.Path) == gitFolder || w.attributes != nil && i.Path == attributesFile {
		return nil
	}
	entry := entryOf("", &i.Stat)
	out := &item{name: i.Path, entry: entry}
	switch {
	case i.Whiteout:
		out.entry = Entry{Kind: Gone}
	case entry.Kind == "":
		out.refused = "it is neither a file, a folder nor a link"
	case entry.Kind == Link:
		out.entry.Target = i.Target
	default:
		var err error
		if out.entry.Xattrs, err = xattrs(i.File); err != nil {
			return err
		}
		if entry.Kind == File {
			out.content = i.File
		}
	}
	if i.Opaque && out.refused == "" {
		out.refused = "it hides what an older image had in it: import what is in it alone"
	}
	w.owners(out)
	return w.fn(out)
}

// owners puts mode and owner in place of those of a git working tree, which keeps none: those of the
// export, or what the machine has at the path now, or root's.
func (w *folderWalk) owners(i *item) {
	if e, ok := w.attributes["/"+i.name]; ok && e.Kind == i.entry.Kind {
		i.entry.Mode, i.entry.UID, i.entry.GID, i.entry.Xattrs = e.Mode, e.UID, e.GID, e.Xattrs
		return
	}
	if !w.checkout && w.attributes == nil || i.entry.Kind == Gone {
		return
	}
	i.mayKeep = true
	i.entry.UID, i.entry.GID = 0, 0
	switch {
	case i.entry.Kind == Link:
	case i.entry.Kind == Folder || i.entry.Mode&0o100 != 0:
		i.entry.Mode = 0o755
	default:
		i.entry.Mode = 0o644
	}
}

const maxAttributes = 8 << 20 // bytes

// readAttributes reads the attributesFile of a folder; nil when it has none.
func readAttributes(file string) (map[string]Entry, error) {
	text, err := plainfile.Read(file, maxAttributes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := parseAttributes(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return all, nil
}

// parseAttributes reads what an export to git writes in attributesFile: a line for each path, see
// doc/settings.md. Secrets, which are not there, are left out.
func parseAttributes(text []byte) (map[string]Entry, error) {
	text, ok := bytes.CutPrefix(text, []byte(attributesMagic+"\n"))
	if !ok {
		return nil, fmt.Errorf("%w: it does not begin with %q", ErrDamaged, attributesMagic)
	}
	all := map[string]Entry{}
	number := 1
	for row := range strings.Lines(string(text)) {
		number++
		l := &line{rest: strings.TrimSuffix(row, "\n")}
		e := Entry{Kind: Kind(l.word())}
		e.Path = l.quoted()
		const maxID = 1<<32 - 1
		switch e.Kind {
		case File, Folder:
			e.Mode = uint32(l.number(8, 0o7777))
			e.UID, e.GID = uint32(l.number(10, maxID)), uint32(l.number(10, maxID))
			l.xattrs(&e)
		case Link:
			e.UID, e.GID = uint32(l.number(10, maxID)), uint32(l.number(10, maxID))
		case Gone, "secret":
		default:
			l.fail("%.40q is no kind of entry", e.Kind)
		}
		if l.err == nil {
			l.err = validPath(e.Path)
		}
		if l.rest != "" {
			l.fail("more follows: %.40q", l.rest)
		}
		if l.err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrDamaged, number, l.err)
		}
		if len(all) == maxEntries {
			return nil, fmt.Errorf("%w: more than %d lines", ErrTooMuch, maxEntries)
		}
		if e.Kind != "secret" {
			all[e.Path] = e
		}
	}
	return all, nil
}
