// Package mime makes the database of media types of a tree, byte for byte as the tree's own
// update-mime-database(1) does. [Build] does it all.
//
// It knows shared-mime-info 2.2 to 2.4 with GLib 2.60 and later. Formats: the Shared MIME-info
// Database specification of freedesktop.org.
package mime

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/layers/internal/glib"
	"deltaup/mkimage/tree"
)

// mimeFolder is where the database is in a tree.
const mimeFolder = "usr/share/mime"

var (
	// ErrUnknown is wrapped when the tree has no shared-mime-info that is known.
	ErrUnknown = errors.New("no known update-mime-database")
	// ErrText is wrapped when it is not known what the program would make of a file, or when the
	// database would be too large.
	ErrText = errors.New("mime: unsupported description of types")
)

// Limits of what hostile files can ask for. The descriptions of a desktop have 3 MB.
const (
	fileMax  = 32 << 20 // bytes
	filesMax = 4096
	totalMax = 128 << 20 // bytes
)

// File is one that the program writes.
type File struct {
	Path    string // below the root, without a leading slash
	Content []byte
}

// Build makes the files of a tree, which stays open, sorted by path; none: the tree has no
// descriptions. Files that are no well-formed XML, and types with an error, are left out, as the
// program does. Errors wrap ErrUnknown or ErrText, or are those of the tree.
func Build(t tree.Tree) ([]File, error) {
	root := lookup.New(t)
	folder := mimeFolder + "/packages"
	if e := root.Stat(folder); e == nil || e.Type != tree.Directory {
		return nil, nil
	}
	version, err := findVersion(root)
	if err != nil {
		return nil, err
	}
	var names []string
	override := false
	for _, name := range root.Names(folder) {
		switch {
		case name == "Override.xml":
			override = true
		case strings.HasSuffix(name, ".xml") && name != ".xml":
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if override { // it is the last one
		names = append(names, "Override.xml")
	}
	if len(names) > filesMax {
		return nil, fmt.Errorf("%w: more than %d files", ErrText, filesMax)
	}
	d := &database{}
	for _, name := range names {
		text, err := root.Read(folder+"/"+name, min(fileMax, totalMax-d.read))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
			continue // a link to nowhere, a folder
		}
		if err != nil {
			return nil, err
		}
		d.read += int64(len(text))
		if err := d.load(text); err != nil {
			return nil, fmt.Errorf("/%s/%s: %w", folder, name, err)
		}
	}
	return d.files(version)
}

var versionLine = regexp.MustCompile(`(?m)^Version: (2\.[0-9]+)$`)

// findVersion gives the version that the program writes: that of its package.
func findVersion(root *lookup.View) (string, error) {
	if root.Stat("usr/bin/update-mime-database") == nil {
		return "", fmt.Errorf("%w: the tree has not the program", ErrUnknown)
	}
	text, err := root.Read("usr/share/pkgconfig/shared-mime-info.pc", 1<<16)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	m := versionLine.FindSubmatch(text)
	if m == nil || !slices.Contains([]string{"2.2", "2.3", "2.4"}, string(m[1])) {
		return "", fmt.Errorf("%w: shared-mime-info.pc has not a version from 2.2 to 2.4", ErrUnknown)
	}
	return string(m[1]), nil
}

// database has what the descriptions say.
type database struct {
	read       int64 // bytes of descriptions
	types      glib.HashTable[*mediaType]
	globs      glib.HashTable[[]*glob]    // by pattern
	namespaces glib.HashTable[*mediaType] // by "namespace localName"
	aliases    glib.HashTable[*mediaType] // by alias
	subclasses glib.HashTable[[]string]   // types above a type
	icons      glib.HashTable[string]     // by type
	generic    glib.HashTable[string]     // icons by type
	magic      []*magic
	treeMagic  []*treeMagic
}

// mediaType is a type, such as text/plain.
type mediaType struct {
	name     string
	media    string         // text
	subtype  string         // plain
	fields   []*node        // what its file has; nil: removed
	comments map[string]int // index of each comment in fields by its language; "": none
}

type glob struct {
	pattern string
	of      *mediaType
	weight  int
	none    bool // all globs of other folders' databases do not count for the type
	exact   bool // upper and lower case differ
}

// noGlobs stands for a pattern.
const noGlobs = "__NOGLOBS__"

// noMagic stands for a value.
const noMagic = "__NOMAGIC__"
