package settings

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The stream is that of git fast-import, as its manual describes it.

func (g *gitExport) printf(format string, args ...any) {
	fmt.Fprintf(g.w, format, args...) // Flush tells of errors
}

func (g *gitExport) write(numbers []int) error {
	g.printf("feature done\n")
	for _, n := range numbers {
		generation, err := g.store.Generation(n)
		if errors.Is(err, ErrDamaged) {
			g.done.Skipped = append(g.done.Skipped, err.Error())
			continue
		}
		if err != nil {
			return err
		}
		if err := g.commit(generation); err != nil {
			return fmt.Errorf("generation %d: %w", n, err)
		}
	}
	return nil
}

// commit writes a generation. Contents come first, each once.
func (g *gitExport) commit(generation *Generation) error {
	secret := g.store.Secrets(generation, g.Running)
	g.done.Secrets = 0
	attributes := attributesMagic + "\n"
	var files []Entry
	for _, e := range generation.Entries {
		switch {
		case secret(e.Path):
			g.done.Secrets++
			attributes += "secret " + strconv.QuoteToASCII(e.Path) + "\n"
			continue
		case !gitPath(e.Path):
			g.done.Skipped = append(g.done.Skipped, fmt.Sprintf("generation %d: %s: git takes no such name", generation.Number, e.Path))
			continue
		}
		attributes += e.attributes() + "\n"
		if e.Kind != File && e.Kind != Link {
			continue
		}
		if err := g.blob(&e); lost(err) {
			g.done.Skipped = append(g.done.Skipped, fmt.Sprintf("generation %d: %v", generation.Number, err))
			continue
		} else if err != nil {
			return err
		}
		files = append(files, e)
	}
	message := string(generation.Cause)
	if generation.Message != "" {
		message = generation.Message + "\n\nDeltaup-Cause: " + string(generation.Cause)
	} else {
		message += "\n"
	}
	message += fmt.Sprintf("\nDeltaup-Parent: %d\nDeltaup-Image: %s\n%s%d %s\n", generation.Parent, generation.Image, generationLine, generation.Number, generation.hash())
	g.printf("commit refs/heads/%s\ncommitter %s %d +0000\n", g.Branch, author(g.Author), max(generation.Time.Unix(), 0))
	g.data(message)
	if !g.first && g.done.Commits == 0 {
		g.printf("from refs/heads/%s^0\n", g.Branch)
	}
	g.printf("deleteall\nM 100644 inline %s\n", attributesFile)
	g.data(attributes)
	for i := range files {
		e := &files[i]
		switch {
		case e.Kind == Link:
			g.printf("M 120000 inline %s\n", gitQuote(e.Path[1:]))
			g.data(e.Target)
		case e.Mode&0o111 != 0:
			g.printf("M 100755 :%d %s\n", g.marks[e.Content], gitQuote(e.Path[1:]))
		default:
			g.printf("M 100644 :%d %s\n", g.marks[e.Content], gitQuote(e.Path[1:]))
		}
	}
	g.printf("\n")
	g.done.Commits++
	return nil
}

// attributes is an entry's line of attributesFile: what it is without its content.
func (e *Entry) attributes() string {
	text := string(e.Kind) + " " + strconv.QuoteToASCII(e.Path)
	switch e.Kind {
	case File, Folder:
		text += fmt.Sprintf(" %04o %d %d", e.Mode, e.UID, e.GID)
	case Link:
		text += fmt.Sprintf(" %d %d", e.UID, e.GID)
	}
	for _, x := range e.Xattrs {
		text += " " + strconv.QuoteToASCII(x.Name) + " " + strconv.QuoteToASCII(x.Value)
	}
	return text
}

// blob writes the content of a file, unless the stream has it.
func (g *gitExport) blob(e *Entry) error {
	if e.Kind != File || g.marks[e.Content] != 0 {
		return nil
	}
	r, err := g.store.object(e.Content)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Path, err)
	}
	defer r.Close() // only read
	if info, err := r.Stat(); err != nil || info.Size() != e.Size {
		return errors.Join(fmt.Errorf("%s: %w: it should have %d bytes", e.Path, ErrDamaged, e.Size), err)
	}
	g.mark++
	g.printf("blob\nmark :%d\ndata %d\n", g.mark, e.Size)
	n, err := io.Copy(g.w, io.LimitReader(r, e.Size))
	if err == nil && n != e.Size {
		err = fmt.Errorf("%s: %d bytes, not %d", e.Path, n, e.Size)
	}
	if err != nil {
		return err
	}
	g.printf("\n")
	g.marks[e.Content] = g.mark
	return nil
}

func (g *gitExport) data(text string) { g.printf("data %d\n%s\n", len(text), text) }

// gitPath tells whether git takes a path: no part of it is the name of git's own folder.
func gitPath(path string) bool {
	for part := range strings.SplitSeq(path[1:], "/") {
		if strings.EqualFold(part, ".git") {
			return false
		}
	}
	return path != "/"+attributesFile
}

// gitQuote writes a path as fast-import reads one: quoted as in C, odd bytes in octal.
func gitQuote(path string) string {
	b := []byte{'"'}
	for _, c := range []byte(path) {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c == 0x7f:
			b = fmt.Appendf(b, `\%03o`, c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// author makes an author that git reads: NAME <EMAIL>.
func author(s string) string {
	name, mail, _ := strings.Cut(s, "<")
	clean := func(s string) string {
		return strings.TrimSpace(strings.Map(func(r rune) rune {
			if r == '<' || r == '>' || r < ' ' || r == 0x7f || r == utf8.RuneError {
				return -1
			}
			return r
		}, s))
	}
	return clean(name) + " <" + clean(mail) + ">"
}
