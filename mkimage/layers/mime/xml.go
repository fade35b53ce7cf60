package mime

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Namespaces of XML.
const (
	ownSpace = "http://www.freedesktop.org/standards/shared-mime-info"
	xmlSpace = "http://www.w3.org/XML/1998/namespace"
)

// errSyntax is wrapped by errors about files that are not well-formed: the program skips them.
var errSyntax = errors.New("not well-formed")

// depthMax is how deep libxml2 lets elements be.
const depthMax = 256

// kinds of nodes
const (
	element = iota
	charData
	cdata
	comment
	instruction
)

// node is a part of a document.
type node struct {
	kind     int
	text     string // of an instruction with its target
	prefix   string
	space    string // "": none
	name     string
	spaces   []space // that the element declares
	attrs    []attr
	children []*node
}

type space struct{ prefix, uri string }

type attr struct{ prefix, space, name, value string }

// is tells whether a node is an element of the specification's namespace.
func (n *node) is(name string) bool {
	return n.kind == element && n.space == ownSpace && n.name == name
}

// attr gives the value of an attribute without a namespace.
func (n *node) attr(name string) (string, bool) { return n.attrOf("", name) }

func (n *node) attrOf(space, name string) (string, bool) {
	for _, a := range n.attrs {
		if a.space == space && a.name == name {
			return a.value, true
		}
	}
	return "", false
}

// reader makes nodes of a document.
type reader struct {
	text   []byte
	root   *node
	open   []*node
	scopes [][]space // what open elements declare
}

// parse reads a document. Errors wrap errSyntax or ErrText.
func parse(text []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("%w: encoding %q", ErrText, charset)
	}
	r := &reader{text: text}
	for {
		start := d.InputOffset()
		token, err := d.RawToken()
		switch {
		case errors.Is(err, io.EOF) && (len(r.open) > 0 || r.root == nil):
			return nil, errSyntax
		case errors.Is(err, io.EOF):
			return r.root, nil
		case errors.Is(err, ErrText):
			return nil, err
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errSyntax, err)
		}
		if err := r.token(token, text[start:d.InputOffset()]); err != nil {
			return nil, err
		}
	}
}

func (r *reader) token(token xml.Token, raw []byte) error {
	switch t := token.(type) {
	case xml.StartElement:
		// of an empty element comes the end, too, without bytes of its own
		return r.start(t, raw)
	case xml.EndElement:
		if len(r.open) == 0 {
			return errSyntax
		}
		top := r.open[len(r.open)-1]
		if top.prefix != t.Name.Space || top.name != t.Name.Local {
			return errSyntax
		}
		r.open, r.scopes = r.open[:len(r.open)-1], r.scopes[:len(r.scopes)-1]
	case xml.CharData:
		kind := charData
		if bytes.HasPrefix(raw, []byte("<![CDATA[")) {
			kind = cdata
		}
		if len(r.open) == 0 {
			if kind == cdata || len(bytes.Trim(t, " \t\r\n")) > 0 {
				return errSyntax
			}
			return nil
		}
		if kind == cdata || len(t) > 0 {
			r.add(&node{kind: kind, text: string(t)})
		}
	case xml.Comment:
		r.add(&node{kind: comment, text: string(t)})
	case xml.ProcInst:
		if t.Target != "xml" {
			r.add(&node{kind: instruction, text: strings.TrimSpace(t.Target + " " + string(t.Inst))})
		}
	case xml.Directive:
		return directive(string(t))
	}
	return nil
}

// add adds a node to the innermost element.
func (r *reader) add(n *node) {
	if len(r.open) > 0 {
		top := r.open[len(r.open)-1]
		top.children = append(top.children, n)
	}
}

var (
	attributeList = regexp.MustCompile(`<!ATTLIST\s[^>]*>`)
	quoted        = regexp.MustCompile(`"[^"]*"|'[^']*'`)
)

// directive takes a document type whose declarations change nothing: defaults that are defaults of
// the program, too.
func directive(t string) error {
	entities := strings.Contains(t, "<!ENTITY") || strings.Contains(t, "%")
	if !strings.HasPrefix(t, "DOCTYPE") || entities {
		return fmt.Errorf("%w: declarations", ErrText)
	}
	for _, list := range attributeList.FindAllString(t, -1) {
		for _, value := range quoted.FindAllString(list, -1) {
			if value = value[1 : len(value)-1]; value != ownSpace && value != "50" {
				return fmt.Errorf("%w: the default value %q of an attribute", ErrText, value)
			}
		}
	}
	return nil
}

func (r *reader) start(t xml.StartElement, raw []byte) error {
	if len(r.open) == 0 && r.root != nil || len(r.open) >= depthMax {
		return errSyntax
	}
	if err := normalize(t.Attr, raw); err != nil {
		return err
	}
	n := &node{prefix: t.Name.Space, name: t.Name.Local}
	for _, a := range t.Attr {
		switch {
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			n.spaces = append(n.spaces, space{"", a.Value})
		case a.Name.Space == "xmlns" && (a.Name.Local == "xml" || a.Value == ""):
			return fmt.Errorf("%w: xmlns:%s=%q", ErrText, a.Name.Local, a.Value)
		case a.Name.Space == "xmlns":
			n.spaces = append(n.spaces, space{a.Name.Local, a.Value})
		}
	}
	r.scopes = append(r.scopes, n.spaces)
	var ok bool
	if n.space, ok = r.space(n.prefix); !ok {
		return fmt.Errorf("%w: nothing declares the prefix %q", ErrText, n.prefix)
	}
	seen := map[[2]string]bool{}
	for _, a := range t.Attr {
		if seen[[2]string{a.Name.Space, a.Name.Local}] {
			return errSyntax
		}
		seen[[2]string{a.Name.Space, a.Name.Local}] = true
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		made := attr{prefix: a.Name.Space, name: a.Name.Local, value: a.Value}
		if made.prefix != "" {
			if made.space, ok = r.space(made.prefix); !ok {
				return fmt.Errorf("%w: nothing declares the prefix %q", ErrText, made.prefix)
			}
		}
		n.attrs = append(n.attrs, made)
	}
	r.add(n)
	if r.root == nil {
		r.root = n
	}
	r.open = append(r.open, n)
	return nil
}

// space gives the namespace of a prefix.
func (r *reader) space(prefix string) (string, bool) {
	if prefix == "xml" {
		return xmlSpace, true
	}
	for _, scope := range slices.Backward(r.scopes) {
		for _, s := range scope {
			if s.prefix == prefix {
				return s.uri, true
			}
		}
	}
	return "", prefix == ""
}

// normalize makes spaces of tabs and line ends in attributes, but of those that are written as
// numbers.
func normalize(attrs []xml.Attr, raw []byte) error {
	if !bytes.ContainsAny(raw, "\t\r\n") {
		return nil
	}
	for i := range attrs {
		open := bytes.IndexAny(raw, `"'`)
		if open < 0 {
			return errSyntax
		}
		value := raw[open+1:]
		end := bytes.IndexByte(value, raw[open])
		if end < 0 {
			return errSyntax
		}
		value, raw = value[:end], value[end+1:]
		if !bytes.ContainsAny(value, "\t\r\n") {
			continue
		}
		if bytes.Contains(value, []byte("&#")) {
			return fmt.Errorf("%w: an attribute with line ends and numbers", ErrText)
		}
		attrs[i].Value = strings.Map(func(c rune) rune {
			if c == '\t' || c == '\n' || c == '\r' {
				return ' '
			}
			return c
		}, attrs[i].Value)
	}
	return nil
}
