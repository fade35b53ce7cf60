package settings

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"deltaup/chunkstore"
)

// The format is on the page doc/settings.md.
const (
	magic = "deltaup settings generation 1"

	maxText     = 8 << 20
	maxDefaults = 40_000 // listed entries of an image
	maxMessage  = 1000   // bytes of a message or remark
	maxRemarks  = 100
	maxNumber   = 1<<31 - 1
)

// format is the text of a generation.
func (g *Generation) format() ([]byte, error) {
	if len(g.Entries) > maxEntries && g.Number > 0 {
		return nil, fmt.Errorf("%w: more than %d entries", ErrTooMuch, maxEntries)
	}
	text := g.append(nil)
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: a generation of more than %d bytes", ErrTooMuch, maxText)
	}
	if _, err := parse(text); err != nil { // what cannot be read again is not written
		return nil, err
	}
	return text, nil
}

func (g *Generation) append(to []byte) []byte {
	to = fmt.Appendf(to, "%s\nnumber %d\nparent %d\nimage ", magic, g.Number, g.Parent)
	to = append(appendID(to, g.Image), "\nlist "...)
	to = appendID(to, g.List)
	to = fmt.Appendf(to, "\ntime %s\ncause %s\nmessage %s\n",
		g.Time.UTC().Format(time.RFC3339), g.Cause, strconv.QuoteToASCII(g.Message))
	for i := range g.Entries {
		e := &g.Entries[i]
		to = append(to, "entry "...)
		to = append(strconv.AppendQuoteToASCII(to, e.Path), ' ')
		to = append(appendID(to, e.Default), ' ')
		to = append(e.append(to), '\n')
	}
	for i := range g.Conflicts {
		to = g.Conflicts[i].append(to)
	}
	return fmt.Appendf(to, "end %s\n", chunkstore.Sum(to))
}

func (c *Conflict) append(to []byte) []byte {
	to = fmt.Appendf(to, "conflict %s %s\nbase ", c.Taken, strconv.QuoteToASCII(c.Path()))
	to = append(c.Base.append(to), "\nlocal "...)
	to = append(c.Local.append(to), "\nimage "...)
	to = append(c.Image.append(to), '\n')
	for _, r := range c.Remarks {
		to = fmt.Appendf(to, "remark %s\n", strconv.QuoteToASCII(r))
	}
	return to
}

// parse reads a generation, or the defaults of an image. It takes nothing that format would write
// in another way. Errors wrap ErrDamaged.
func parse(text []byte) (*Generation, error) {
	g, err := parseLines(text)
	if err == nil && !bytes.Equal(g.append(nil), text) {
		err = fmt.Errorf("it is not as deltaup writes it")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return g, nil
}

func parseLines(text []byte) (*Generation, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("it has more than %d bytes", maxText)
	}
	p := parser{rest: string(text)}
	g, err := p.head()
	if err != nil {
		return nil, err
	}
	switch g.Cause = Cause(p.field("cause").word()); g.Cause {
	case Booted, Merged, Saved, Restored, Imported, shipped:
	default:
		p.now.fail("%.40q is no cause", g.Cause)
	}
	if g.Message = p.field("message").quoted(); !validMessage(g.Message) {
		p.now.fail("the message is not one line of at most %d bytes", maxMessage)
	}
	for p.is("entry") && p.now.err == nil {
		p.entry(g)
	}
	for p.is("conflict") && p.now.err == nil {
		p.conflict(g)
	}
	body := len(text) - len(p.rest)
	if end := p.field("end").id(); p.now.err == nil && (p.rest != "" || end != chunkstore.Sum(text[:body])) {
		p.now.fail("its last line is not the hash of the others")
	}
	if p.now.err != nil {
		return nil, fmt.Errorf("line %d: %w", p.number, p.now.err)
	}
	return g, nil
}

// maxHead is more than the lines have that head parses.
const maxHead = 400

// head parses the lines that say what a generation is, up to its time.
func (p *parser) head() (*Generation, error) {
	if first := p.line(); first != magic {
		return nil, fmt.Errorf("it does not begin with %q but with %.60q", magic, first)
	}
	g := &Generation{}
	g.Number = int(p.field("number").number(10, maxNumber))
	g.Parent = int(p.field("parent").number(10, maxNumber))
	g.Image = p.field("image").id()
	g.List = p.field("list").id()
	t := p.field("time").word()
	var err error
	if g.Time, err = time.Parse(time.RFC3339, t); err != nil {
		p.now.fail("%.40q is no time", t)
	}
	g.Time = g.Time.UTC()
	if p.now.err != nil {
		return nil, fmt.Errorf("line %d: %w", p.number, p.now.err)
	}
	return g, nil
}

// validMessage tells whether a message or a remark is one line.
func validMessage(s string) bool {
	return len(s) <= maxMessage && utf8.ValidString(s) && !strings.ContainsAny(s, "\n\r\x00")
}

// parser goes through the lines of a text.
type parser struct {
	rest   string
	number int
	now    line
}

func (p *parser) line() string {
	p.number++
	text, rest, _ := strings.Cut(p.rest, "\n")
	p.rest = rest
	return text
}

// is tells whether the next line is of this kind.
func (p *parser) is(word string) bool {
	return strings.HasPrefix(p.rest, word) && strings.HasPrefix(p.rest[len(word):], " ")
}

// field goes to the next line, which must be of this kind. After an error it stays there.
func (p *parser) field(word string) *line {
	if p.now.err != nil {
		return &p.now
	}
	if p.now.rest != "" {
		p.now.fail("more follows: %.40q", p.now.rest)
		return &p.now
	}
	if !p.is(word) {
		p.number++
		p.now.fail("%q is missing", word)
		return &p.now
	}
	p.now = line{rest: p.line()[len(word)+1:]}
	return &p.now
}

func (p *parser) entry(g *Generation) {
	l := p.field("entry")
	path, id := l.quoted(), l.id()
	e := l.entry(path)
	e.Default = id
	switch {
	case l.err != nil:
	case validPath(path) != nil:
		l.fail("%w", validPath(path))
	case len(g.Entries) > 0 && g.Entries[len(g.Entries)-1].Path >= path:
		l.fail("%.100q is not in order", path)
	case len(g.Entries) == maxDefaults || g.Number > 0 && len(g.Entries) == maxEntries:
		l.fail("there are more than %d entries", len(g.Entries))
	}
	g.Entries = append(g.Entries, e)
}

func (p *parser) conflict(g *Generation) {
	l := p.field("conflict")
	c := Conflict{Taken: l.word()}
	path := l.quoted()
	switch {
	case l.err != nil:
	case c.Taken != takenLocal && c.Taken != TakenImage && c.Taken != TakenMerged:
		l.fail("%.40q is no version", c.Taken)
	case validPath(path) != nil:
		l.fail("%w", validPath(path))
	case len(g.Conflicts) > 0 && g.Conflicts[len(g.Conflicts)-1].Path() >= path:
		l.fail("%.100q is not in order", path)
	case len(g.Conflicts) == maxEntries:
		l.fail("there are more than %d conflicts", maxEntries)
	}
	c.Base = p.field("base").entry(path)
	c.Local = p.field("local").entry(path)
	c.Image = p.field("image").entry(path)
	for p.is("remark") && p.now.err == nil {
		r := p.field("remark").quoted()
		if c.Remarks = append(c.Remarks, r); len(c.Remarks) > maxRemarks || !validMessage(r) {
			p.now.fail("a remark is too long, or there are too many")
		}
	}
	g.Conflicts = append(g.Conflicts, c)
}
