package mime

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// errType is wrapped by errors about a type. What the type has behind the error is left out.
var errType = errors.New("wrong type")

// load adds what a file says.
func (d *database) load(text []byte) error {
	root, err := parse(text)
	if errors.Is(err, errSyntax) {
		return nil
	}
	if err != nil {
		return err
	}
	if !root.is("mime-info") {
		return nil
	}
	for _, n := range root.children {
		if !n.is("mime-type") {
			continue
		}
		name, _ := n.attr("type")
		t, err := d.mediaType(name)
		if err == nil {
			err = d.describe(t, n)
		}
		if err != nil && !errors.Is(err, errType) {
			return err
		}
	}
	return nil
}

// taken are the names in the database's folder that no medium can have.
var taken = []string{
	"", ".", "..", "packages", "aliases", "generic-icons", "globs", "globs2", "icons", "magic",
	"mime.cache", "subclasses", "treemagic", "types", "version",
}

// mediaType gives the type of a name, made if need be.
func (d *database) mediaType(name string) (*mediaType, error) {
	media, subtype, ok := strings.Cut(name, "/")
	if !ok || strings.Contains(subtype, "/") {
		return nil, errType
	}
	if t, ok := d.types.Get(name); ok {
		return t, nil
	}
	if slices.Contains(taken, lower(media)) || len(name) > 250 {
		return nil, fmt.Errorf("%w: the type %q has no file of its own", ErrText, name)
	}
	t := &mediaType{name: name, media: media, subtype: subtype, comments: map[string]int{}}
	d.types.Set(name, t)
	return t, nil
}

// describe takes what an element says of a type.
func (d *database) describe(t *mediaType, n *node) error {
	for _, field := range n.children {
		if field.kind != element {
			continue
		}
		copied, err := true, error(nil)
		if field.space == ownSpace {
			copied, err = d.field(t, field)
		}
		if err != nil {
			return err
		}
		if copied {
			t.add(field)
		}
	}
	return nil
}

// add adds a field to what the type's file has. A comment replaces that in the same language.
func (t *mediaType) add(field *node) {
	if field.is("comment") {
		language, ok := field.attrOf(xmlSpace, "lang")
		if ok {
			language = ":" + language
		}
		if i, ok := t.comments[language]; ok {
			t.fields[i] = nil
		}
		t.comments[language] = len(t.fields)
	}
	t.fields = append(t.fields, detached(field))
}

// field takes a field of the specification, and tells whether the type's file has it, too.
func (d *database) field(t *mediaType, n *node) (copied bool, err error) {
	switch n.name {
	case "comment", "acronym", "expanded-acronym":
		return true, nil
	case "glob":
		return true, d.glob(t, n)
	case "glob-deleteall":
		d.addGlob(&glob{pattern: noGlobs, of: t, none: true})
		return true, nil
	case "magic":
		return false, d.addMagic(t, n)
	case "magic-deleteall":
		value := &match{length: 1, word: 1, value: []byte(noMagic)}
		d.magic = append(d.magic, &magic{of: t, none: true, matches: []*match{value}})
	case "treemagic":
		return false, d.addTreeMagic(t, n)
	case "alias", "sub-class-of":
		other, _ := n.attr("type")
		if !strings.Contains(other, "/") {
			return false, errType
		}
		if n.name == "alias" {
			d.aliases.Set(other, t)
			return true, nil
		}
		above, _ := d.subclasses.Get(t.name)
		d.subclasses.Set(t.name, append(above, other))
		return true, nil
	case "root-XML":
		uri, ok := n.attr("namespaceURI")
		local, ok2 := n.attr("localName")
		if !ok || !ok2 || uri+local == "" || strings.ContainsAny(uri+local, " \n") {
			return false, errType
		}
		d.namespaces.Set(uri+" "+local, t)
	case "icon", "generic-icon":
		icon, ok := n.attr("name")
		if ok && n.name == "icon" {
			d.icons.Set(t.name, icon)
		} else if ok {
			d.generic.Set(t.name, icon)
		}
		return ok, nil
	}
	return false, nil
}

func (d *database) glob(t *mediaType, n *node) error {
	weight, err := number(n, "weight")
	pattern, _ := n.attr("pattern")
	exact, _ := n.attr("case-sensitive")
	switch {
	case pattern == "":
		return errType
	case pattern == "*" || len(pattern) > patternMax:
		return fmt.Errorf("%w: the pattern %.20q", ErrText, pattern)
	case exact != "true":
		pattern = lower(pattern)
	}
	// one with a wrong weight counts, too
	d.addGlob(&glob{pattern: pattern, of: t, weight: weight, exact: exact == "true"})
	return err
}

// patternMax is how many bytes a pattern may have.
const patternMax = 4096

func (d *database) addGlob(g *glob) {
	list, _ := d.globs.Get(g.pattern)
	d.globs.Set(g.pattern, append(list, g))
}

// number gives an attribute from 0 to 100; 50: there is none. It is -1 with an error.
func number(n *node, name string) (int, error) {
	text, ok := n.attr(name)
	if !ok {
		return 50, nil
	}
	value, rest, err := signed(text)
	if err != nil {
		return -1, err
	}
	if p := int32(value); text == "" || rest != "" || p < 0 || p > 100 {
		return -1, errType
	} else {
		return int(p), nil
	}
}

// signed is strtol(3) with base 10. A number that is too large is ErrText: it stays an error for
// later ones.
func signed(text string) (value int64, rest string, err error) {
	negative, digits := sign(text)
	end := 0
	for end < len(digits) && digits[end] >= '0' && digits[end] <= '9' {
		if value > (math.MaxInt64-9)/10 {
			return 0, "", fmt.Errorf("%w: the number %.20q", ErrText, text)
		}
		value = value*10 + int64(digits[end]-'0')
		end++
	}
	if end == 0 {
		return 0, text, nil
	}
	if negative {
		value = -value
	}
	return value, digits[end:], nil
}

// unsigned is strtoul(3), with base 16 behind 0x and 8 behind 0.
func unsigned(text string) (value uint64, rest string, err error) {
	negative, digits := sign(text)
	base := uint64(10)
	if len(digits) > 2 && digits[0] == '0' {
		switch {
		case digits[1]|0x20 == 'x' && nibble(digits[2]) >= 0:
			base, digits = 16, digits[2:]
		case digits[1]|0x20 == 'b' && (digits[2] == '0' || digits[2] == '1'):
			return 0, "", fmt.Errorf("%w: the number %.20q", ErrText, text) // by the C library
		}
	}
	if base == 10 && strings.HasPrefix(digits, "0") {
		base = 8
	}
	end := 0
	for end < len(digits) {
		n := nibble(digits[end])
		if n < 0 || uint64(n) >= base {
			break
		}
		if value > (math.MaxUint64-15)/base {
			return 0, "", fmt.Errorf("%w: the number %.20q", ErrText, text)
		}
		value = value*base + uint64(n)
		end++
	}
	if end == 0 {
		return 0, text, nil
	}
	if negative {
		value = -value
	}
	return value, digits[end:], nil
}

func sign(text string) (negative bool, digits string) {
	digits = strings.TrimLeft(text, " \t\n\v\f\r")
	if digits != "" && (digits[0] == '-' || digits[0] == '+') {
		return digits[0] == '-', digits[1:]
	}
	return false, digits
}

// nibble gives the value of a hexadecimal digit; -1: it is none.
func nibble(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// lower makes small letters of A to Z.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
