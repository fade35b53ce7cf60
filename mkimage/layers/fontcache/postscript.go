package fontcache

import (
	"bytes"
	"strconv"
)

// postScriptText is a text of PostScript that is taken apart.
type postScriptText struct {
	b      []byte
	last   string
	binary []byte // the bytes behind the last token, where that is a word that begins some; else nil
}

// next gives the next token, without comments; "": there is none. A string has its parentheses.
func (p *postScriptText) next() string {
	p.binary = nil
	for {
		p.b = bytes.TrimLeft(p.b, blanks+"\x00")
		if len(p.b) == 0 {
			p.last = ""
			return ""
		}
		if p.b[0] != '%' {
			break
		}
		if end := bytes.IndexAny(p.b, "\r\n"); end >= 0 {
			p.b = p.b[end:]
		} else {
			p.b = nil
		}
	}
	n := 1
	switch p.b[0] {
	case '(':
		n = stringLength(p.b)
	case '[', ']', '{', '}', '<', '>', ')':
	default:
		if end := bytes.IndexAny(p.b[1:], blanks+"\x00()[]{}<>/%"); end >= 0 {
			n = 1 + end
		} else {
			n = len(p.b)
		}
	}
	token := string(p.b[:n])
	p.b = p.b[n:]
	if token == "RD" || token == "-|" {
		size, err := strconv.Atoi(p.last)
		if err == nil && size >= 0 && size < len(p.b) {
			p.binary, p.b = p.b[1:1+size], p.b[1+size:]
		}
	}
	p.last = token
	return token
}

// matrix reads six numbers in brackets, which are not all that there may be in fonts.
func (p *postScriptText) matrix() bool {
	if open := p.next(); open != "[" && open != "{" {
		return false
	}
	for i := range 6 {
		n, err := strconv.ParseFloat(p.next(), 64)
		if err != nil || i == 3 && n == 0 {
			return false
		}
	}
	end := p.next()
	return end == "]" || end == "}"
}

// stringLength is how many bytes a string has, with its parentheses.
func stringLength(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}
