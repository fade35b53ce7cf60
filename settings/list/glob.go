package list

import (
	"errors"
	"path"
	"strings"
	"unicode/utf8"
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

var (
	errSet    = errors.New("a set [ has no end ]")
	errRange  = errors.New("a set has a range that is empty")
	errEscape = errors.New(`nothing follows \`)
)

// element is the length of the first element of a part's pattern, which is not empty.
func element(pattern string) (int, error) {
	switch pattern[0] {
	case '\\':
		if len(pattern) == 1 {
			return 0, errEscape
		}
		_, n := utf8.DecodeRuneInString(pattern[1:])
		return 1 + n, nil
	case '[':
		n, _, err := set(pattern, 0)
		return n, err
	}
	_, n := utf8.DecodeRuneInString(pattern)
	return n, nil
}

// set reads the set at the beginning of a pattern: its length, and whether r is of it. A ] that
// comes first is a member.
func set(pattern string, r rune) (n int, member bool, err error) {
	i, negated := 1, false
	if strings.HasPrefix(pattern[i:], "!") || strings.HasPrefix(pattern[i:], "^") {
		i, negated = i+1, true
	}
	char := func() (rune, error) {
		if i < len(pattern) && pattern[i] == '\\' {
			i++
		}
		if i >= len(pattern) {
			return 0, errSet
		}
		c, n := utf8.DecodeRuneInString(pattern[i:])
		i += n
		return c, nil
	}
	for first := true; first || i >= len(pattern) || pattern[i] != ']'; first = false {
		low, err := char()
		if err != nil {
			return 0, false, err
		}
		high := low
		if i+1 < len(pattern) && pattern[i] == '-' && pattern[i+1] != ']' {
			i++
			if high, err = char(); err != nil {
				return 0, false, err
			}
		}
		if low > high {
			return 0, false, errRange
		}
		member = member || low <= r && r <= high
	}
	return i + 1, member != negated, nil
}

// matchPart matches one part, with no slash, against a pattern that compilePart has taken. At a
// mismatch only the last star takes one more character, so the time is at most the product of both
// lengths.
func matchPart(pattern, name string) bool {
	star, from := -1, 0
	p, i := 0, 0
	for i < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, from = p, i
			continue
		}
		if n, m := matchOne(pattern[p:], name[i:]); n > 0 {
			p, i = p+n, i+m
			continue
		}
		if star < 0 {
			return false
		}
		_, m := utf8.DecodeRuneInString(name[from:])
		from += m
		p, i = star, from
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne matches one character of the name: the lengths of the pattern's element and of the
// character, 0 and 0 when they do not match.
func matchOne(pattern, name string) (n, m int) {
	if pattern == "" {
		return 0, 0
	}
	switch pattern[0] {
	case '?':
		_, m = utf8.DecodeRuneInString(name)
		return 1, m
	case '[':
		r, m := utf8.DecodeRuneInString(name)
		if n, member, err := set(pattern, r); err == nil && member {
			return n, m
		}
		return 0, 0
	case '\\':
		if pattern[1] == name[0] {
			return 2, 1
		}
		return 0, 0
	}
	if pattern[0] == name[0] {
		return 1, 1
	}
	return 0, 0
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
