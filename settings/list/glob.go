package list

import (
	"errors"
	"path"
	"strings"
)

// glob is a pattern of paths. Of its parts between slashes, ** stands for any number of parts, also
// none. In any other part, * stands for any number of characters, ? for one, [a-z] for one of a
// set, [!a-z] and [^a-z] for one of all others, and \ takes the meaning from the next character.
type glob struct {
	pattern string // canonical, without the slash at the end of a tree
	tree    bool   // also all that lies below
	base    string // the folders before the first part with a wildcard, or the whole pattern
	parts   []part // behind base; none: no wildcard
}

type part struct {
	text       string // literal, or the pattern
	kind       partKind
	head, tail string // what every name that a wild part matches begins and ends with
}

type partKind uint8

const (
	literal partKind = iota
	wild
	deep // **
)

// Bounds of a pattern.
const (
	maxPattern = 512 // bytes
	maxParts   = 64
)

// badPattern is an error at a byte of a pattern.
type badPattern struct {
	at   int
	text string
}

func (b badPattern) Error() string { return b.text }

// compile reads a pattern, which begins with a slash. Errors are badPattern.
func compile(pattern string) (glob, error) {
	if len(pattern) > maxPattern {
		return glob{}, badPattern{0, "the path is longer than 512 bytes"}
	}
	if !strings.HasPrefix(pattern, "/") {
		return glob{}, badPattern{0, "the path does not begin with /"}
	}
	if strings.ContainsAny(pattern, "\x00\n") {
		return glob{}, badPattern{strings.IndexAny(pattern, "\x00\n"), "the path has a byte that no path has"}
	}
	if pattern == "/" {
		return glob{}, badPattern{0, "/ covers everything: name the folders"}
	}
	g := glob{base: "/"}
	g.pattern, g.tree = strings.CutSuffix(pattern, "/")
	at := 1
	for text := range strings.SplitSeq(g.pattern[1:], "/") {
		p, err := compilePart(text)
		if err != nil {
			var bad badPattern
			errors.As(err, &bad)
			return glob{}, badPattern{at + bad.at, bad.text}
		}
		at += len(text) + 1
		g.parts = append(g.parts, p)
		if p.kind == literal && len(g.parts) == 1 {
			g.base, g.parts = path.Join(g.base, p.text), nil
		}
	}
	if len(g.parts) > maxParts || strings.Count(g.base, "/") > maxParts {
		return glob{}, badPattern{0, "the path has more than 64 parts"}
	}
	// FOLDER/** is FOLDER/
	for len(g.parts) > 0 && g.parts[len(g.parts)-1].kind == deep {
		g.parts, g.tree = g.parts[:len(g.parts)-1], true
		g.pattern = strings.TrimSuffix(g.pattern, "/**")
	}
	if g.pattern == "" {
		return glob{}, badPattern{0, "/** covers everything: name the folders"}
	}
	return g, nil
}

func compilePart(text string) (part, error) {
	switch {
	case text == "":
		return part{}, badPattern{0, "two slashes follow one another"}
	case text == "**":
		return part{kind: deep}, nil
	case strings.Contains(text, "**"):
		return part{}, badPattern{strings.Index(text, "**"), "** stands alone between slashes"}
	}
	var plain []byte // without wildcards since the last one
	var head string
	isWild := false
	for rest := text; rest != ""; {
		n, err := element(rest)
		if err != nil {
			return part{}, badPattern{len(text) - len(rest), err.Error()}
		}
		switch rest[0] {
		case '*', '?', '[':
			if !isWild {
				head = string(plain)
			}
			isWild, plain = true, nil
		default:
			plain = append(plain, strings.TrimPrefix(rest[:n], `\`)...)
		}
		rest = rest[n:]
	}
	if isWild {
		return part{text: text, kind: wild, head: head, tail: string(plain)}, nil
	}
	if s := string(plain); s == "." || s == ".." {
		return part{}, badPattern{0, "the path has " + s + " in it"}
	}
	return part{text: string(plain)}, nil
}

func (p *part) match(name string) bool {
	if p.kind == literal {
		return p.text == name
	}
	return strings.HasPrefix(name, p.head) && strings.HasSuffix(name, p.tail) && matchPart(p.text, name)
}

// match tells whether the glob covers the path, which is absolute and clean.
func (g *glob) match(path string) bool {
	rest, ok := behind(g.base, path)
	if !ok {
		return false
	}
	parts := g.parts
	star, from := -1, "" // the last **, and what follows what it has taken
	for p := 0; ; {
		switch {
		case p == len(parts) && (rest == "" || g.tree):
			return true
		case p < len(parts) && parts[p].kind == deep:
			p++
			star, from = p, rest
			continue
		case rest == "":
			return false
		case p < len(parts):
			if name, after, _ := strings.Cut(rest, "/"); parts[p].match(name) {
				p, rest = p+1, after
				continue
			}
		}
		if star < 0 || from == "" {
			return false
		}
		_, from, _ = strings.Cut(from, "/")
		p, rest = star, from
	}
}

// below tells whether the glob can cover a path below the folder.
func (g *glob) below(folder string) bool {
	rest, ok := behind(g.base, folder)
	if !ok {
		return within(folder, g.base)
	}
	for i := range g.parts {
		if rest == "" || g.parts[i].kind == deep {
			return true
		}
		name, after, _ := strings.Cut(rest, "/")
		if !g.parts[i].match(name) {
			return false
		}
		rest = after
	}
	return g.tree
}

// behind is the path below the folder, empty for the folder itself.
func behind(folder, path string) (string, bool) {
	if folder == "/" {
		return path[1:], true
	}
	if !within(folder, path) {
		return "", false
	}
	return strings.TrimPrefix(path[len(folder):], "/"), true
}
