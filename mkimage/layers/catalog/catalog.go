// Package catalog makes the journal's message catalog of a tree, byte for byte as journalctl(1)
// does with --update-catalog. [Build] does it all. The database is a function of the text files
// alone: neither machine nor version of systemd are in it.
package catalog

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/layers/internal/systemd"
	"deltaup/mkimage/tree"
)

// Path is where the database lies in a tree.
const Path = "var/lib/systemd/catalog/database"

// ErrText is wrapped by errors about text files with which journalctl makes no database.
var ErrText = errors.New("message catalog")

// Build makes the database of a tree, which stays open; nil: there are no messages, and then
// journalctl leaves the database alone. The mode of the file is 0644. Errors wrap ErrText, or are
// those of the tree.
func Build(t tree.Tree) ([]byte, error) {
	root := lookup.New(t)
	c := &catalog{messages: map[item]int{}}
	for _, f := range systemd.Files(root, ".catalog", "/usr/local/lib/systemd/catalog", "/usr/lib/systemd/catalog") {
		err := f.Err
		if err == nil {
			err = c.parse(f.Text, fileLanguage(f.Path))
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrText, f.Path, err)
		}
	}
	if len(c.order) == 0 {
		return nil, nil
	}
	return c.encode(), nil
}

// catalog collects messages.
type catalog struct {
	order    []message // as they came
	messages map[item]int
}

// item names a message.
type item struct {
	id       [16]byte
	language string // "": that of the C locale
}

type message struct {
	item
	text   string
	offset int // of the text, among the strings
}

// fileLanguage is the language of a file's messages: "de" of "systemd.de.catalog".
func fileLanguage(path string) string {
	stem := strings.TrimSuffix(path, ".catalog")
	start := max(len(stem)-32, 0)
	i := strings.LastIndexAny(stem[start:], "./")
	if i < 0 || stem[start+i] != '.' {
		return ""
	}
	return stem[start+i+1:]
}

// parse reads one file: messages begin with "-- ID" or "-- ID LANGUAGE" behind an empty line.
func (c *catalog) parse(text []byte, language string) error {
	const idEnd = len("-- ") + 32
	var now item
	var payload []byte
	begun, empty := false, true
	number := 0
	finish := func() error {
		if len(payload) == 0 {
			return fmt.Errorf("line %d: the message before has no text", number)
		}
		if n := len(now.language); n == 1 {
			return fmt.Errorf("line %d: the language %q is too short", number, now.language)
		}
		c.add(now, string(payload))
		payload = payload[:0]
		return nil
	}
	for {
		line, rest, ok, err := systemd.Line(text)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		text = rest
		number++
		if line == "" {
			empty = true
			continue
		}
		if line[0] == '#' || line[0] == ';' {
			continue
		}
		if empty && len(line) >= idEnd && strings.HasPrefix(line, "-- ") && (len(line) == idEnd || line[idEnd] == ' ') {
			next := item{language: language}
			if _, err := hex.Decode(next.id[:], []byte(line[3:idEnd])); err == nil {
				if begun {
					if err := finish(); err != nil {
						return err
					}
				}
				if len(line) > idEnd {
					next.language = strings.Trim(line[idEnd:], " \t\n\r")
					if n := len(next.language); n < 2 || n > 31 {
						return fmt.Errorf("line %d: a language has 2 to 31 letters, not %d", number, n)
					}
				}
				now, begun, empty = next, true, false
				continue
			}
			line = line[:idEnd]
		}
		if !begun {
			return fmt.Errorf("line %d: a text before the first message", number)
		}
		if empty {
			payload = append(payload, '\n')
		}
		payload = append(append(payload, line...), '\n')
		empty = false
	}
	if begun {
		return finish()
	}
	return nil
}

// add adds a message. Of two that have one name the later one counts, with the fields of both.
func (c *catalog) add(i item, text string) {
	at, ok := c.messages[i]
	if !ok {
		c.messages[i] = len(c.order)
		c.order = append(c.order, message{i, text, 0})
		return
	}
	before := c.order[at].text
	fields, body := split(text)
	fieldsBefore, bodyBefore := split(before)
	if body == "" {
		body = bodyBefore
	}
	c.order[at].text = fields + fieldsBefore + body
}

// split splits a message's fields from its body, which begins with an empty line.
func split(text string) (fields, body string) {
	body = text
	for {
		i := strings.IndexByte(body, '\n')
		if i <= 0 {
			return text[:len(text)-len(body)], body
		}
		body = body[i+1:]
	}
}

// The format, from systemd's src/libsystemd/sd-journal/catalog.c. Numbers are little endian.
//
//	header  40 bytes: signature, flags (0), size of the header, number and size of items
//	items   56 bytes each, by id and language: id, language in 32 bytes, offset of the text
//	strings the texts, each with a zero at its end
const (
	signature  = "RHHHKSLP"
	headerSize = 40
	itemSize   = 56
)

func (c *catalog) encode() []byte {
	text := systemd.NewStrings()
	for i := range c.order {
		c.order[i].offset = text.Add(c.order[i].text)
	}
	items := slices.Clone(c.order)
	slices.SortFunc(items, func(a, b message) int {
		if d := bytes.Compare(a.id[:], b.id[:]); d != 0 {
			return d
		}
		return strings.Compare(a.language, b.language)
	})
	le := binary.LittleEndian
	out := make([]byte, 0, headerSize+itemSize*len(items)+len(text.Bytes()))
	out = append(out, signature...)
	for _, n := range []int{0, headerSize, len(items), itemSize} {
		out = le.AppendUint64(out, uint64(n))
	}
	for _, m := range items {
		var language [32]byte
		copy(language[:], m.language)
		out = append(append(out, m.id[:]...), language[:]...)
		out = le.AppendUint64(out, uint64(m.offset))
	}
	return append(out, text.Bytes()...)
}
