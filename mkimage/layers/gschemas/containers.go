package gschemas

import (
	"errors"
	"strings"
)

func (p *parser) maybe(of string) (value, error) {
	before := *p
	switch p.word() {
	case "nothing":
		return maybe(of, nil), nil
	case "just":
	default:
		*p = before
	}
	v, err := p.value(of)
	return maybe(of, &v), err
}

func (p *parser) array(of string) (value, error) {
	var list []value
	open, end := byte('['), byte(']')
	if p.peek() == '{' && of[0] == '{' {
		open, end = '{', '}'
	}
	if !p.take(open) {
		return value{}, p.wrong("an array")
	}
	for len(list) > 0 || !p.take(end) {
		var v value
		var err error
		if open == '{' {
			v, err = p.entry(of)
		} else {
			v, err = p.value(of)
		}
		if err != nil {
			return value{}, err
		}
		list = append(list, v)
		if p.take(end) {
			break
		}
		if !p.take(',') {
			return value{}, p.wrong("a comma")
		}
	}
	return array(of, list...), nil
}

// entry reads KEY: VALUE.
func (p *parser) entry(kind string) (value, error) {
	of := members(kind)
	key, err := p.value(of[0])
	if err != nil {
		return value{}, err
	}
	if !p.take(':') {
		return value{}, p.wrong("a colon")
	}
	v, err := p.value(of[1])
	if err != nil {
		return value{}, err
	}
	return tuple("{", "}", key, v), nil
}

// members reads the values of a tuple, or of one entry.
func (p *parser) members(kind, open, end string) (value, error) {
	var list []value
	if !p.take(open[0]) {
		return value{}, p.wrong(open)
	}
	of := members(kind)
	for i, m := range of {
		if i > 0 && !p.take(',') {
			return value{}, p.wrong("a comma")
		}
		v, err := p.value(m)
		if err != nil {
			return value{}, err
		}
		list = append(list, v)
	}
	if len(of) == 1 && !p.take(',') {
		return value{}, p.wrong("a comma")
	}
	if !p.take(end[0]) {
		return value{}, p.wrong(end)
	}
	return tuple(open, end, list...), nil
}

// variant reads <VALUE>, whose type is that which the value says or looks like.
func (p *parser) variant() (value, error) {
	if !p.take('<') {
		return value{}, p.wrong("<")
	}
	before := *p
	var last error
	for _, kind := range []string{p.declared(), "b", "s", "i", "d", "v", "as", "ai", "ad", "av"} {
		if kind == "" {
			continue
		}
		*p = before
		if kind == "d" && !strings.ContainsAny(p.word(), ".einf") { // too large for an integer
			continue
		}
		*p = before
		if p.take('['); kind[0] == 'a' && p.peek() == ']' {
			continue // its elements have no type
		}
		*p = before
		v, err := p.value(kind)
		if err != nil {
			last = errors.Join(last, err)
			continue
		}
		if !p.take('>') {
			return value{}, p.wrong(">")
		}
		return variant(v), nil
	}
	return value{}, last
}

// declared gives the type that a value begins with; "": it says none.
func (p *parser) declared() string {
	q := *p
	if q.take('@') {
		kind, _, _ := element(q.rest, 0)
		return kind
	}
	return keywords[q.word()]
}
