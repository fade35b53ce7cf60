// Package mimeinfo makes the list of applications by the media types that they open, byte for byte
// as update-desktop-database(1) does. [Build] does it all.
//
// It knows desktop-file-utils 0.26 to 0.28. Format: the Desktop Entry specification of
// freedesktop.org, read as GLib's GKeyFile does.
package mimeinfo

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/layers/internal/glib"
	"deltaup/mkimage/tree"
)

const (
	folder = "usr/share/applications"
	Path   = folder + "/mimeinfo.cache"
)

// ErrTooLarge is wrapped when there are more desktop entries than a machine has.
var ErrTooLarge = errors.New("mimeinfo: too large")

// Limits of what hostile files can ask for.
const (
	fileMax  = 4 << 20 // bytes
	filesMax = 1 << 16
	totalMax = 256 << 20 // bytes of all files, and of the list
)

// Build makes the list of a tree, which stays open; nil: the tree has no applications, or not the
// program. Files with an error are left out, as the program does. Errors wrap ErrTooLarge, or are
// those of the tree.
func Build(t tree.Tree) ([]byte, error) {
	root := lookup.New(t)
	e := root.Stat(folder)
	if root.Stat("usr/bin/update-desktop-database") == nil || e == nil || e.Type != tree.Directory {
		return nil, nil
	}
	b := &builder{root: root, entries: map[string][]string{}}
	if err := b.folder(folder, "", nil); err != nil {
		return nil, err
	}
	out := []byte("[MIME Cache]\n")
	for _, name := range slices.Sorted(maps.Keys(b.entries)) {
		slices.Sort(b.entries[name])
		out = append(out, name+"="+strings.Join(b.entries[name], ";")+";\n"...)
	}
	return out, nil
}

// builder collects the names of desktop entries by media type.
type builder struct {
	root    *lookup.View
	entries map[string][]string
	files   int
	size    int64 // bytes read, and of the list
}

// grow counts bytes.
func (b *builder) grow(n int) error {
	if b.size += int64(n); b.size > totalMax {
		return fmt.Errorf("%w: more than %d MiB", ErrTooLarge, totalMax>>20)
	}
	return nil
}

// folder takes the entries of a folder, and those below. around has the folders above.
func (b *builder) folder(dir, prefix string, around []string) error {
	at := b.root.Stat(dir).Path
	if slices.Contains(around, at) {
		return nil // a link to a folder above
	}
	around = append(slices.Clip(around), at)
	for _, name := range b.root.Names(dir) {
		if b.files++; b.files > filesMax {
			return fmt.Errorf("%w: more than %d files", ErrTooLarge, filesMax)
		}
		full := dir + "/" + name
		e := b.root.Stat(full)
		switch {
		case e != nil && e.Type == tree.Directory:
			if err := b.folder(full, prefix+name+"-", around); err != nil {
				return err
			}
		case !strings.HasSuffix(name, ".desktop") || e == nil || e.Type != tree.Regular:
		default:
			text, err := b.root.Read(full, fileMax)
			if errors.Is(err, fs.ErrInvalid) {
				continue
			}
			if err != nil {
				return err
			}
			if err := b.entry(prefix+name, string(text)); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry adds a desktop entry to its media types.
func (b *builder) entry(name, text string) error {
	if err := b.grow(len(text)); err != nil {
		return err
	}
	groups, _ := glib.ParseKeyFile(text)
	at := slices.IndexFunc(groups, func(g *glib.KeyGroup) bool { return g.Name == "Desktop Entry" })
	if at < 0 {
		return nil
	}
	keys := groups[at].Values
	if hidden := strings.TrimRight(keys["Hidden"], glib.Space); hidden == "true" || hidden == "1" {
		return nil
	}
	types, ok := glib.List(keys["MimeType"])
	if !ok {
		return nil
	}
	for _, t := range types {
		t = strings.TrimRight(t, glib.Space)
		if !valid(t) || slices.Contains(b.entries[t], name) {
			continue
		}
		if err := b.grow(len(t) + len(name)); err != nil {
			return err
		}
		b.entries[t] = append(b.entries[t], name)
	}
	return nil
}

// Media that are types of their own here, and types that are taken though their media are not.
var (
	media = []string{
		"inode", "x-content", "x-scheme-handler", "chemical", "x-directory", "application", "audio",
		"font", "image", "model", "text", "video", "message", "multipart",
	}
	exceptions = []string{
		"misc/ultravox", "flv-application/octet-stream", "zz-application/zz-winassoc-123",
		"zz-application/zz-winassoc-cab", "zz-application/zz-winassoc-cdr",
		"zz-application/zz-winassoc-doc", "zz-application/zz-winassoc-hlp",
		"zz-application/zz-winassoc-ini", "zz-application/zz-winassoc-lwp",
		"zz-application/zz-winassoc-lzh", "zz-application/zz-winassoc-mdb",
		"zz-application/zz-winassoc-uu", "zz-application/zz-winassoc-xls",
	}
)

// valid tells whether the program takes a media type.
func valid(t string) bool {
	medium, subtype, _ := strings.Cut(t, "/")
	if subtype == "" || !plain(subtype) {
		return false
	}
	if slices.Contains(media, medium) || slices.Contains(exceptions, t) {
		return true
	}
	return len(medium) >= 2 && strings.EqualFold(medium[:2], "x-") && plain(medium[2:])
}

// plain tells whether all letters may be in a name of RFC 2045.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c == 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?=`, c)
	})
}
