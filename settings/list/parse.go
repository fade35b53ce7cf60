package list

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// parser collects the rules of files.
type parser struct {
	rules    []rule
	warnings []Warning
	full     bool // that there are too many rules has been said
}

func (p *parser) warn(at Warning, format string, args ...any) {
	at.Text = fmt.Sprintf(format, args...)
	p.note(at)
}

// note keeps a warning, as long as there are not too many.
func (p *parser) note(w Warning) {
	if len(p.warnings) == maxWarnings {
		w.Text = "and more that does not count"
	}
	if len(p.warnings) <= maxWarnings {
		p.warnings = append(p.warnings, w)
	}
}

// add adds a rule if it counts.
func (p *parser) add(r rule) bool {
	if len(p.rules) >= maxRules {
		if !p.full {
			p.warn(r.at, "there are more than %d rules: this one and those behind it do not count", maxRules)
		}
		p.full = true
		return false
	}
	if why := r.refusal(); why != "" {
		p.warn(r.at, "%s", why)
		return false
	}
	p.rules = append(p.rules, r)
	return true
}

// parse reads a file of settings.d.
func (p *parser) parse(file, text string) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		w := words{line: strings.TrimRight(line, "\r\n"), at: Warning{File: file, Line: number}}
		r, ok := w.rule()
		for _, warning := range w.warnings {
			p.note(warning)
		}
		if ok {
			p.add(r)
		}
	}
}

// words reads a line word by word.
type words struct {
	line     string
	pos      int // behind the last word
	start    int // of the last word
	at       Warning
	warnings []Warning
}

// wrong notes what is wrong at an offset in the last word.
func (w *words) wrong(offset int, format string, args ...any) {
	at := w.at
	at.Column, at.Text = w.start+offset+1, fmt.Sprintf(format, args...)
	w.warnings = append(w.warnings, at)
}

// next is the next word as it stands, empty at the end of the line or at a comment.
func (w *words) next() string {
	for w.pos < len(w.line) && (w.line[w.pos] == ' ' || w.line[w.pos] == '\t') {
		w.pos++
	}
	w.start = w.pos
	if w.pos < len(w.line) && w.line[w.pos] == '#' {
		w.pos = len(w.line)
		return ""
	}
	if rest := w.line[w.pos:]; strings.HasPrefix(rest, `"`) {
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			w.pos += len(quoted)
			return quoted
		}
	}
	for w.pos < len(w.line) && w.line[w.pos] != ' ' && w.line[w.pos] != '\t' {
		w.pos++
	}
	return w.line[w.start:w.pos]
}

// rule reads the line. It is false for a line without a rule, or one that does not count.
func (w *words) rule() (rule, bool) {
	verb := w.next()
	r := rule{verb: verb, at: w.at, Options: Options{Merge: Local}}
	switch verb {
	case "":
		return rule{}, false
	case keep, except, forget, data:
	default:
		w.wrong(0, "%s is no rule: keep, except, forget or data", shown(verb))
		return rule{}, false
	}
	pattern := w.next()
	if pattern == "" {
		w.wrong(0, "%s names no path", verb)
		return rule{}, false
	}
	r.at.Column = w.start + 1
	offset := true
	if strings.HasPrefix(pattern, `"`) {
		var err error
		if pattern, err = strconv.Unquote(pattern); err != nil {
			w.wrong(0, "the quotes around the path are not closed")
			return rule{}, false
		}
		offset = false // bytes of what is in quotes are elsewhere in the line
	}
	var err error
	if r.glob, err = compile(pattern); err != nil {
		var bad badPattern
		if errors.As(err, &bad); !offset {
			bad.at = 0
		}
		w.wrong(bad.at, "%s", bad.text)
		return rule{}, false
	}
	if r.verb == data {
		r.tree = true
	}
	for option := w.next(); option != ""; option = w.next() {
		if why := r.option(option); why != "" {
			w.wrong(0, "%s", why)
		}
	}
	return r, true
}

// option reads an option; it returns why it does not count. The rule counts without it: a list for
// a newer deltaup had better keep a file in a plainer way than lose it.
func (r *rule) option(text string) string {
	way, isMerge := strings.CutPrefix(text, "merge=")
	switch {
	case r.verb != keep:
		return fmt.Sprintf("%s has no options, not %s", r.verb, shown(text))
	case text == "newest":
		r.Newest = true
	case text == "secret":
		r.Secret = true
	case text == "force":
		r.Force = true
	case isMerge && slices.Contains([]Merge{Local, Image, Lines, Users, Refuse}, Merge(way)):
		r.Merge = Merge(way)
	case isMerge:
		return "merge=" + shown(way) + " is none of local, image, lines, users and refuse"
	default:
		return shown(text) + " is no option: newest, secret, force or merge="
	}
	return ""
}

// shown is a word of a file for a message.
func shown(word string) string {
	if len(word) > 40 {
		word = word[:40] + "..."
	}
	return quoted(word)
}

// quoted is a word as a file has it: in quotes when it needs them.
func quoted(word string) string {
	plain := word != "" && word[0] != '"' && word[0] != '#' && utf8.ValidString(word)
	for _, r := range word {
		plain = plain && unicode.IsGraphic(r) && !unicode.IsSpace(r)
	}
	if plain {
		return word
	}
	return strconv.Quote(word)
}

// line is the rule in the form of settings.d, with its end of line.
func (r *rule) line() string {
	pattern := r.pattern
	if r.tree {
		pattern += "/"
	}
	s := r.verb + " " + quoted(pattern)
	if r.Merge != Local && r.verb == keep {
		s += " merge=" + string(r.Merge)
	}
	for _, o := range []struct {
		set  bool
		name string
	}{{r.Newest, "newest"}, {r.Secret, "secret"}, {r.Force, "force"}} {
		if o.set {
			s += " " + o.name
		}
	}
	return s + "\n"
}

// list puts the rules together.
func (p *parser) list() *List {
	l := &List{}
	for _, r := range p.rules {
		if r.verb == data {
			l.data = append(l.data, r.base)
		}
	}
	l.data = outermost(l.data)
	for _, r := range p.rules {
		if r.verb == keep && withinAny(l.data, r.folder()) {
			p.warn(r.at, "%s is in a folder of data, where all is kept", r.base)
			continue
		}
		l.rules = append(l.rules, r)
	}
	for i := range l.rules {
		switch r := &l.rules[i]; r.verb {
		case keep:
			l.keeps = append(l.keeps, r)
			l.places = append(l.places, place(r.folder()))
		case except:
			l.excepts = append(l.excepts, r)
		case forget:
			l.excepts = append(l.excepts, r)
			l.forgets = append(l.forgets, r)
		}
	}
	l.places = outermost(l.places)
	l.warnings = p.warnings
	return l
}

// readFile reads a file of the image. One that is too large, or not regular, counts as empty.
func (p *parser) readFile(image fs.FS, name string) ([]byte, error) {
	f, err := image.Open(name[1:])
	if notThere(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list of settings: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("list of settings: %w", err)
	}
	if !info.Mode().IsRegular() {
		p.warn(Warning{File: name}, "not read: it is no regular file")
		return nil, nil
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("list of settings: %s: %w", name, err)
	}
	if len(text) > maxFile {
		p.warn(Warning{File: name}, "not read: it has more than %d bytes", maxFile)
		return nil, nil
	}
	return text, nil
}

func notThere(err error) bool { return errors.Is(err, fs.ErrNotExist) }
