package mime

import (
	"bytes"
	"slices"
	"strings"
)

// detached gives an element with the namespaces that it needs without those around it.
func detached(n *node) *node {
	copied := *n
	copied.spaces = slices.Clone(n.spaces)
	var need func(n *node, scope []string)
	need = func(n *node, scope []string) {
		if n.kind != element {
			return
		}
		for _, s := range n.spaces {
			scope = append(scope, s.prefix)
		}
		take := func(prefix, uri string) {
			if uri == "" || prefix == "xml" || slices.Contains(scope, prefix) ||
				slices.ContainsFunc(copied.spaces, func(s space) bool { return s.prefix == prefix }) {
				return
			}
			copied.spaces = append(copied.spaces, space{prefix, uri})
		}
		take(n.prefix, n.space)
		for _, a := range n.attrs {
			take(a.prefix, a.space)
		}
		for _, c := range n.children {
			need(c, slices.Clip(scope))
		}
	}
	need(n, nil)
	if n.prefix == "" && n.space == ownSpace {
		copied.spaces = nil // so that not each element declares it
	}
	return &copied
}

var (
	inText  = strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;", "\r", "&#13;")
	inValue = strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;", `"`, "&quot;",
		"\n", "&#10;", "\r", "&#13;", "\t", "&#9;")
)

// xml is the file of a type, as libxml2 writes it with indentation.
func (t *mediaType) xml() []byte {
	root := &node{
		name: "mime-type", space: ownSpace, spaces: []space{{"", ownSpace}},
		attrs: []attr{{name: "type", value: t.name}},
		children: []*node{{
			kind: comment, text: "Created automatically by update-mime-database. DO NOT EDIT!",
		}},
	}
	for _, f := range t.fields {
		if f != nil {
			root.children = append(root.children, f)
		}
	}
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?>` + "\n")
	root.write(&b, 0, true)
	b.WriteString("\n")
	return b.Bytes()
}

// indentMax is the deepest level that libxml2 indents more than the one before.
const indentMax = 30

// write writes a node. Where an element has text, nothing below it is indented.
func (n *node) write(b *bytes.Buffer, level int, indent bool) {
	switch n.kind {
	case charData:
		inText.WriteString(b, n.text)
		return
	case cdata:
		b.WriteString("<![CDATA[" + n.text + "]]>")
		return
	}
	space := func(level int) {
		if indent {
			b.WriteString(strings.Repeat("  ", min(level, indentMax)))
		}
	}
	space(level)
	switch n.kind {
	case comment:
		b.WriteString("<!--" + n.text + "-->")
		return
	case instruction:
		b.WriteString("<?" + n.text + "?>")
		return
	}
	name := n.name
	if n.prefix != "" {
		name = n.prefix + ":" + name
	}
	b.WriteString("<" + name)
	for _, s := range n.spaces {
		b.WriteString(" xmlns")
		if s.prefix != "" {
			b.WriteString(":" + s.prefix)
		}
		quote := `"`
		if strings.Contains(s.uri, quote) {
			quote = "'"
		}
		b.WriteString("=" + quote + s.uri + quote)
	}
	for _, a := range n.attrs {
		b.WriteString(" ")
		if a.prefix != "" {
			b.WriteString(a.prefix + ":")
		}
		b.WriteString(a.name + `="`)
		inValue.WriteString(b, a.value)
		b.WriteString(`"`)
	}
	if len(n.children) == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteString(">")
	for _, c := range n.children {
		indent = indent && c.kind != charData && c.kind != cdata
	}
	for _, c := range n.children {
		if indent {
			b.WriteString("\n")
		}
		c.write(b, level+1, indent)
	}
	if indent {
		b.WriteString("\n")
	}
	space(level)
	b.WriteString("</" + name + ">")
}
