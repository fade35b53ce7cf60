// Package gschemas compiles the settings schemas of a tree, byte for byte as
// glib-compile-schemas(1) of GLib 2.74 to 2.84 does. [Build] does it all.
//
// What the program leaves out with a message, such as a file with an error, is an error here.
package gschemas

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/layers/internal/glib"
	"deltaup/mkimage/tree"
)

const (
	folder = "usr/share/glib-2.0/schemas"
	Path   = folder + "/gschemas.compiled"
)

var (
	// ErrUnknown is wrapped when the tree has not the program.
	ErrUnknown = errors.New("no known glib-compile-schemas")
	// ErrText is wrapped by errors about schemas that are wrong, or that are not known.
	ErrText = errors.New("wrong settings schema")
)

// Limits of what hostile files can ask for.
const (
	fileMax  = 16 << 20 // bytes
	filesMax = 1 << 14
	totalMax = 128 << 20 // bytes
)

// Build compiles the schemas of a tree, which stays open; nil: it has none. Errors wrap ErrUnknown
// or ErrText, or are those of the tree.
func Build(t tree.Tree) ([]byte, error) {
	root := lookup.New(t)
	var files, overrides []string
	for _, name := range root.Names(folder) {
		switch {
		case strings.HasSuffix(name, ".gschema.xml"), strings.HasSuffix(name, ".enums.xml"):
			files = append(files, name)
		case strings.HasSuffix(name, ".gschema.override"):
			overrides = append(overrides, name)
		}
	}
	if len(files) == 0 {
		return nil, nil
	}
	if !hasProgram(root) {
		return nil, fmt.Errorf("%w: the tree has it not", ErrUnknown)
	}
	if len(files)+len(overrides) > filesMax {
		return nil, fmt.Errorf("%w: more than %d files", ErrText, filesMax)
	}
	slices.SortFunc(files, func(a, b string) int { // enumerations come first
		first, second := strings.HasSuffix(a, ".enums.xml"), strings.HasSuffix(b, ".enums.xml")
		switch {
		case first && !second:
			return -1
		case second && !first:
			return 1
		}
		return strings.Compare(a, b)
	})
	slices.Sort(overrides)
	c := &compiler{}
	for _, name := range append(files, overrides...) {
		text, err := root.Read(folder+"/"+name, min(fileMax, totalMax-c.read))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c.read += int64(len(text))
		if strings.HasSuffix(name, ".xml") {
			err = c.load(text)
		} else {
			err = c.override(string(text))
		}
		if err != nil {
			return nil, fmt.Errorf("/%s/%s: %w", folder, name, err)
		}
	}
	return c.encode()
}

// hasProgram finds the program: it is with the library in Debian.
func hasProgram(root *lookup.View) bool {
	for _, parent := range []string{"usr/lib", "usr/lib64"} {
		for _, name := range append(root.Names(parent), "") {
			if root.Stat(parent+"/"+name+"/glib-2.0/glib-compile-schemas") != nil {
				return true
			}
		}
	}
	return root.Stat("usr/bin/glib-compile-schemas") != nil
}

// compiler has what the files say.
type compiler struct {
	read    int64 // bytes
	schemas glib.HashTable[*schema]
	enums   map[string]*names // by "enum " or "flags ", and id
}

type schema struct {
	extends *schema
	parent  string // the id of extends
	path    string
	domain  *string
	listOf  string
	keys    glib.HashTable[*key]
}

// key is a setting, or a child.
type key struct {
	child string // the id of a child's schema; "": it is a setting

	kind      string
	localized byte // m: messages, t: time
	context   *string
	source    string // of the default
	standard  value  // the default
	names     *names // that are allowed; nil: all
	low, high *value // the range
	desktops  glib.HashTable[value]
	override  bool // of a schema that this one extends
}

// names are those of an enumeration, of flags, or choices.
type names struct {
	kind    byte // e, f or c
	values  []string
	places  map[string]int // of values and aliases: in words
	aliases map[string]bool
	numbers map[uint32]bool
	words   []byte
}

func newNames(kind byte) *names {
	return &names{kind: kind, places: map[string]int{}, aliases: map[string]bool{},
		numbers: map[uint32]bool{}}
}

func (n *names) clone() *names {
	again := newNames(n.kind)
	again.values, again.words = slices.Clone(n.values), slices.Clone(n.words)
	for name, place := range n.places {
		again.places[name] = place
	}
	return again
}

// namesWordsMax is how long a name may be, in words.
const namesWordsMax = 17

// add adds a name: its number, 0xff (0xfe: an alias), the name, zeros, 0xff.
func (n *names) add(name string, number uint32, first byte) error {
	if _, ok := n.places[name]; ok {
		return fmt.Errorf("%w: %q is there twice", ErrText, name)
	}
	words := max(2, (len(name)+6)/4)
	if words > namesWordsMax {
		return fmt.Errorf("%w: the name %q is too long", ErrText, name)
	}
	n.places[name] = len(n.words) / 4
	n.words = append(n.words, byte(number), byte(number>>8), byte(number>>16), byte(number>>24), first)
	n.words = append(n.words, name...)
	n.words = append(n.words, make([]byte, 4*words-2-len(name))...)
	n.words = append(n.words, 0xff)
	if first == 0xff {
		n.values = append(n.values, name)
	} else {
		n.aliases[name] = true
	}
	return nil
}

// alias adds another name of one.
func (n *names) alias(name, target string) error {
	place, ok := n.places[target]
	if !ok || n.aliases[target] {
		return fmt.Errorf("%w: an alias of %q, which is none", ErrText, target)
	}
	return n.add(name, uint32(place), 0xfe)
}

// check tells whether a value is allowed.
func (k *key) check(v value) error {
	switch {
	case k.low != nil:
		if compare(v, *k.low) < 0 || compare(v, *k.high) > 0 {
			return fmt.Errorf("%w: a value outside the range", ErrText)
		}
	case k.names != nil:
		if !oneOf(v, k.names.values) {
			return fmt.Errorf("%w: a value that is no choice", ErrText)
		}
	}
	return nil
}

// override takes a file of other defaults: groups have the id of a schema, or SCHEMA:DESKTOP.
func (c *compiler) override(text string) error {
	file, ok := glib.ParseKeyFile(text)
	if !ok {
		return fmt.Errorf("%w: no key file", ErrText)
	}
	for _, group := range file {
		id, desktop, one := strings.Cut(group.Name, ":")
		s, ok := c.schemas.Get(id)
		if !ok {
			continue // it is not installed
		}
		for _, name := range group.Keys {
			k, ok := s.keys.Get(name)
			if !ok {
				continue // as the program does
			}
			if k.child != "" || one && k.localized != 0 {
				return fmt.Errorf("%w: an override of %s in %s", ErrText, name, group.Name)
			}
			v, err := parseValue(k.kind, group.Values[name])
			if err == nil {
				err = k.check(v)
			}
			if err != nil {
				return fmt.Errorf("%s in %s: %w", name, group.Name, err)
			}
			if one {
				k.desktops.Set(desktop, v)
			} else {
				k.standard = v
			}
		}
	}
	return nil
}

// value is what the database has for a key.
func (k *key) value() value {
	if k.child != "" {
		return text("s", k.child)
	}
	list := []value{k.standard}
	if k.localized != 0 {
		source := strings.Trim(k.source, " \t\n\f\r")
		if k.context != nil {
			source = *k.context + "\x04" + source
		}
		message := tuple("(", ")", letter(k.localized), text("s", source))
		list = append(list, tuple("(", ")", letter('l'), message))
	}
	if k.names != nil {
		list = append(list, tuple("(", ")", letter(k.names.kind), value{"au", k.names.words}))
	}
	if k.low != nil {
		list = append(list, tuple("(", ")", letter('r'), tuple("(", ")", *k.low, *k.high)))
	}
	if k.desktops.Len() > 0 {
		var entries []value
		for desktop, v := range k.desktops.All() {
			entries = append(entries, tuple("{", "}", text("s", desktop), variant(v)))
		}
		list = append(list, tuple("(", ")", letter('d'), array("{sv}", entries...)))
	}
	return tuple("(", ")", list...)
}
