package gschemas

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// loader reads one file of schemas.
type loader struct {
	*compiler
	open   []string // elements
	skip   int      // how deep a qualified element is open, which is left out
	domain *string
	schema *schema
	key    *key
	names  *names
	text   *strings.Builder // nil: only white space is allowed
}

func (l *loader) wrong(what string) error {
	return fmt.Errorf("%w: in <%s>: %s", ErrText, strings.Join(l.open, "> <"), what)
}

// load takes what a file says.
func (c *compiler) load(source []byte) error {
	d := xml.NewDecoder(bytes.NewReader(source))
	l := &loader{compiler: c}
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) && len(l.open) == 0 && l.skip == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrText, err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			err = l.start(t)
		case xml.EndElement:
			err = l.end(t)
		case xml.CharData:
			switch {
			case l.skip > 0:
			case l.text != nil:
				l.text.Write(t)
			case len(bytes.Trim(t, " \t\n\f\r")) > 0:
				err = l.wrong("text")
			}
		}
		if err != nil {
			return err
		}
	}
}

// attributes are those that elements may have; those with ! they must have.
var attributes = map[string]string{
	"schemalist": "gettext-domain", "schema": "!id path gettext-domain extends list-of",
	"enum": "!id", "flags": "!id", "key": "!name type enum flags", "child": "!name !schema",
	"override": "!name l10n context", "default": "l10n context", "summary": "", "description": "",
	"range": "min max", "choices": "", "choice": "!value", "aliases": "", "alias": "!value !target",
	"value": "!nick !value",
}

// parents are the elements in which elements may stand.
var parents = map[string][]string{
	"schemalist": {""}, "schema": {"schemalist"}, "enum": {"schemalist"}, "flags": {"schemalist"},
	"key": {"schema"}, "child": {"schema"}, "override": {"schema"}, "default": {"key"},
	"summary": {"key"}, "description": {"key"}, "range": {"key"}, "choices": {"key"},
	"choice": {"choices"}, "aliases": {"key"}, "alias": {"aliases"}, "value": {"enum", "flags"},
}

func (l *loader) start(t xml.StartElement) error {
	if l.skip > 0 || t.Name.Space != "" {
		if l.skip++; l.skip > depthMax {
			return l.wrong("too deep")
		}
		return nil
	}
	name, parent := t.Name.Local, ""
	if len(l.open) > 0 {
		parent = l.open[len(l.open)-1]
	}
	l.open = append(l.open, name)
	if !slices.Contains(parents[name], parent) {
		return l.wrong("it may not be here")
	}
	has := map[string]*string{}
	known := strings.Fields(attributes[name])
	for _, a := range t.Attr {
		if a.Name.Space != "" {
			continue
		}
		n := a.Name.Local
		may := slices.Contains(known, n) || slices.Contains(known, "!"+n)
		if has[n] != nil || !may {
			return l.wrong("the attribute " + n)
		}
		if strings.ContainsAny(a.Value, "\t\n\r") {
			return l.wrong("an attribute with white space")
		}
		has[n] = &a.Value
	}
	for _, n := range known {
		if n, must := strings.CutPrefix(n, "!"); must && has[n] == nil {
			return l.wrong("it lacks " + n)
		}
	}
	return l.element(name, has)
}

// element begins an element, with its attributes.
func (l *loader) element(name string, has map[string]*string) error {
	get := func(name string) string {
		if v := has[name]; v != nil {
			return *v
		}
		return ""
	}
	switch name {
	case "schemalist":
		l.domain = has["gettext-domain"]
	case "schema":
		return l.startSchema(get("id"), has)
	case "enum", "flags":
		id := name + " " + get("id")
		if l.enums[id] != nil {
			return l.wrong("it is there twice")
		}
		if l.enums == nil {
			l.enums = map[string]*names{}
		}
		l.names = newNames(name[0])
		l.enums[id] = l.names
	case "value":
		return l.enumValue(get("nick"), get("value"))
	case "key":
		return l.startKey(get("name"), has)
	case "child":
		name := get("name") + "/"
		if _, ok := l.schema.keys.Get(name); ok || !isName(get("name")) || get("schema") == "" {
			return l.wrong("the name")
		}
		l.schema.keys.Set(name, &key{child: get("schema")})
	case "override":
		return l.startOverride(get("name"), has)
	case "default":
		return l.startDefault(has)
	case "summary", "description":
		l.text = &strings.Builder{}
	case "range":
		return l.limits(has)
	case "choices":
		if l.key.names != nil || strings.TrimLeft(l.key.kind, "am") != "s" {
			return l.wrong("the key's type")
		}
		l.key.names = newNames('c')
	case "choice":
		return l.key.names.add(get("value"), 0, 0xff)
	case "aliases":
		if l.key.names == nil || len(l.key.names.aliases) > 0 {
			return l.wrong("the key has no choices, or aliases already")
		}
	case "alias":
		return l.key.names.alias(get("value"), get("target"))
	}
	return nil
}

func (l *loader) end(t xml.EndElement) error {
	if l.skip > 0 {
		l.skip--
		return nil
	}
	name := t.Name.Local
	if len(l.open) == 0 || t.Name.Space != "" || l.open[len(l.open)-1] != name {
		return l.wrong("another one ends")
	}
	switch name {
	case "enum", "flags":
		if len(l.names.words) == 0 {
			return l.wrong("it is empty")
		}
	case "default", "override":
		l.key.source = l.text.String()
		v, err := parseValue(l.key.kind, l.key.source)
		if err != nil {
			return fmt.Errorf("%s: %w", l.wrong("the value"), err)
		}
		l.key.standard = v
		if name == "override" {
			err = l.key.check(v)
		}
		if err != nil {
			return err
		}
	case "choices", "aliases":
		if len(l.key.names.words) == 0 || name == "aliases" && len(l.key.names.aliases) == 0 {
			return l.wrong("it is empty")
		}
	case "key":
		if l.key.standard.kind == "" {
			return l.wrong("it lacks <default>")
		}
		if err := l.key.check(l.key.standard); err != nil {
			return err
		}
	}
	l.text = nil
	l.open = l.open[:len(l.open)-1]
	return nil
}

// isName tells whether a key may have a name.
func isName(s string) bool {
	if s == "" || len(s) > 1024 || s[0] < 'a' || s[0] > 'z' || strings.HasSuffix(s, "-") ||
		strings.Contains(s, "--") {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool {
		return c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9')
	})
}
