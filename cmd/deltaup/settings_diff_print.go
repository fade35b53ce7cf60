package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"deltaup/internal/human"
	"deltaup/settings"
	"deltaup/settings/textdiff"
)

// maxShown is how large a file may be whose lines are shown.
const maxShown = 1 << 20

func addColorFlag(f *pflag.FlagSet, color *string) {
	f.StringVar(color, "color", "auto", "use colours: `WHEN` is auto, always or never")
}

// diffPrinter prints differences.
type diffPrinter struct {
	w      io.Writer
	color  bool
	names  bool                   // print only what was changed
	secret func(path string) bool // nil: all is shown
}

func newDiffPrinter(env *Env, color string) (*diffPrinter, error) {
	p := &diffPrinter{w: env.Stdout}
	switch color {
	case "auto":
		p.color = isTerminal(env.Stdout) && env.Getenv("NO_COLOR") == "" && env.Getenv("TERM") != "dumb"
	case "always":
		p.color = true
	case "never":
	default:
		return nil, &usageError{fmt.Errorf("--color %q: want auto, always or never", color)}
	}
	return p, nil
}

// shown is a side that is printed: its name, and where the contents of its files are.
type shown struct {
	name string
	open func(*settings.Entry) (io.ReadCloser, error)
}

// print prints one difference.
func (p *diffPrinter) print(d *settings.Difference, from, to shown) error {
	name := human.Name(d.Path)
	if p.names {
		printf(p.w, "%-8s %s\n", d.What, name)
		return nil
	}
	if p.secret != nil && p.secret(d.Path) {
		p.line(bold, "%s: %s; it is secret, --secrets shows it", name, d.What)
		return nil
	}
	for _, text := range describe(d) {
		p.line(bold, "%s: %s", name, text)
	}
	before, errBefore := p.content(d.Before, from)
	after, errAfter := p.content(d.After, to)
	for _, err := range []error{errBefore, errAfter} {
		if err != nil {
			return err
		}
	}
	if before.text == after.text && before.isText == after.isText {
		return nil
	}
	if !before.isText || !after.isText {
		p.line(bold, "%s: another content, %s, was %s", name, after.size, before.size)
		return nil
	}
	p.line(bold, "--- %s (%s)", name, from.name)
	p.line(bold, "+++ %s (%s)", name, to.name)
	for _, h := range textdiff.Hunks(before.text, after.text) {
		p.hunk(&h)
	}
	return nil
}

// describe says in lines what differs beside the content of a file.
func describe(d *settings.Difference) (lines []string) {
	switch {
	case d.Before == nil:
		return []string{"changed; what the image of that time had is not known"}
	case d.After == nil:
		return []string{"as in the image of that time, which is not known"}
	}
	b, a := d.Before, d.After
	switch {
	case a.Kind == settings.Gone:
		return []string{"deleted, was a " + kindText(b)}
	case b.Kind == settings.Gone:
		lines = []string{"added, a " + kindText(a)}
	case b.Kind != a.Kind:
		lines = []string{"a " + kindText(a) + ", was a " + kindText(b)}
	case b.Target != a.Target:
		lines = append(lines, fmt.Sprintf("leads to %s, was %s", human.Name(a.Target), human.Name(b.Target)))
	}
	if b.Kind == settings.Gone || b.Kind != a.Kind {
		return lines
	}
	if b.Mode != a.Mode {
		lines = append(lines, fmt.Sprintf("mode %04o, was %04o", a.Mode, b.Mode))
	}
	if b.UID != a.UID || b.GID != a.GID {
		lines = append(lines, fmt.Sprintf("owner %d:%d, was %d:%d", a.UID, a.GID, b.UID, b.GID))
	}
	if x, y := attributeNames(a), attributeNames(b); x != y {
		lines = append(lines, fmt.Sprintf("attributes %s, were %s", x, y))
	}
	return lines
}

func attributeNames(e *settings.Entry) string {
	var all []string
	for _, x := range e.Xattrs {
		all = append(all, fmt.Sprintf("%s=%q", x.Name, x.Value))
	}
	if all == nil {
		return "none"
	}
	return strings.Join(all, " ")
}

func kindText(e *settings.Entry) string {
	switch e.Kind {
	case settings.Link:
		return "link to " + human.Name(e.Target)
	case settings.File:
		return fmt.Sprintf("file of %s, mode %04o, owner %d:%d", human.Size(e.Size), e.Mode, e.UID, e.GID)
	}
	return fmt.Sprintf("%s, mode %04o, owner %d:%d", e.Kind, e.Mode, e.UID, e.GID)
}

// content is what a side has in a file.
type content struct {
	text   string
	isText bool
	size   string
}

func (p *diffPrinter) content(e *settings.Entry, side shown) (content, error) {
	if e == nil || e.Kind != settings.File {
		return content{isText: true, size: "nothing"}, nil
	}
	c := content{text: e.Content.String(), size: human.Size(e.Size)}
	if e.Size > maxShown {
		return c, nil
	}
	r, err := side.open(e)
	if err != nil {
		return c, err
	}
	defer r.Close() // only read
	b, err := io.ReadAll(io.LimitReader(r, maxShown+1))
	if err != nil {
		return c, fmt.Errorf("%s: %w", e.Path, err)
	}
	if len(b) <= maxShown && textdiff.IsText(b) {
		c.text, c.isText = string(b), true
	}
	return c, nil
}

// The colours of a terminal.
const (
	plainText = ""
	bold      = "\x1b[1m"
	red       = "\x1b[31m"
	green     = "\x1b[32m"
	cyan      = "\x1b[36m"
	inverse   = "\x1b[7m"
	upright   = "\x1b[27m"
	reset     = "\x1b[m"
)

// line prints a line in a colour.
func (p *diffPrinter) line(color, format string, args ...any) {
	if !p.color {
		color = plainText
	}
	if color == plainText {
		printf(p.w, format+"\n", args...)
		return
	}
	printf(p.w, color+format+reset+"\n", args...)
}

func (p *diffPrinter) hunk(h *textdiff.Hunk) {
	p.line(cyan, "@@ -%s +%s @@", lineRange(h.Old, h.OldLines), lineRange(h.New, h.NewLines))
	for i := range h.Lines {
		p.diffLine(&h.Lines[i])
	}
}

func lineRange(at, lines int) string {
	if lines == 1 {
		return fmt.Sprint(at)
	}
	return fmt.Sprintf("%d,%d", at, lines)
}

func (p *diffPrinter) diffLine(l *textdiff.TextLine) {
	color := map[textdiff.Sign]string{textdiff.Remove: red, textdiff.Add: green}[l.Sign]
	colored := p.color && color != ""
	if colored {
		p.escape(color)
	}
	printf(p.w, "%s", string(l.Sign))
	at := 0
	for _, m := range l.Marks {
		if !colored {
			break
		}
		p.text(l.Text[at:m[0]])
		p.escape(inverse)
		p.text(l.Text[m[0]:m[1]])
		p.escape(upright)
		at = m[1]
	}
	p.text(l.Text[at:])
	if colored {
		p.escape(reset)
	}
	printf(p.w, "\n")
	if l.NoEnd {
		printf(p.w, "\\ No newline at end of file\n")
	}
}

// escape writes one of the colours.
func (p *diffPrinter) escape(code string) {
	_, _ = p.w.Write([]byte(code)) // nobody need look at its error, as with printf
}

// text prints a part of a line, with its tabs.
func (p *diffPrinter) text(s string) {
	for i, part := range strings.Split(s, "\t") {
		if i > 0 {
			printf(p.w, "\t")
		}
		printf(p.w, "%s", part)
	}
}
