// Package textdiff finds how two texts differ, line by line and within lines, for people to read.
// [Hunks] is all of it.
package textdiff

import (
	"bytes"
	"strings"
)

const (
	// context is how many unchanged lines stand around a change.
	context = 3
	// maxSteps bounds the work and the memory of a search. What takes more lines, or words, than
	// that is told as removed and added as a whole.
	maxSteps = 1000
	// maxWords is how many words a block may have whose changed words are looked for.
	maxWords = 20_000
)

// Sign says what becomes of a line.
type Sign byte

// The ops, as they stand in front of lines.
const (
	Keep   Sign = ' '
	Remove Sign = '-'
	Add    Sign = '+'
)

// TextLine is a line of a hunk, without its end.
type TextLine struct {
	Sign Sign
	Text string
	// Marks are the parts of Text that differ from the lines that it was before, or became: pairs
	// of offsets in bytes, sorted. There are none where nearly all differs.
	Marks [][2]int
	NoEnd bool // the text ends in this line without a line feed
}

// Hunk is a run of changed lines with those around it. Numbers of lines begin with 1; a side
// without lines has the number of the line before.
type Hunk struct {
	Old, OldLines int
	New, NewLines int
	Lines         []TextLine
}

// IsText tells whether a content can be shown in lines: it has no zero byte.
func IsText(content []byte) bool { return bytes.IndexByte(content, 0) < 0 }

// Hunks gives the differences of two texts.
func Hunks(from, to string) []Hunk {
	a, b := split(from), split(to)
	var hunks []Hunk
	var h *Hunk
	kept := 0 // lines since the last change
	i, j := 0, 0
	line := func(op Sign, text string) TextLine {
		trimmed := strings.TrimSuffix(text, "\n")
		return TextLine{Sign: op, Text: trimmed, NoEnd: trimmed == text}
	}
	for _, op := range script(a, b) {
		if op == Keep {
			if h != nil && kept < 2*context {
				h.Lines = append(h.Lines, line(Keep, a[i]))
			}
			i, j, kept = i+1, j+1, kept+1
			continue
		}
		if h == nil || kept > 2*context {
			hunks = append(hunks, Hunk{})
			h = &hunks[len(hunks)-1]
			before := min(i, context)
			h.Old, h.New = i-before, j-before
			for k := i - before; k < i; k++ {
				h.Lines = append(h.Lines, line(Keep, a[k]))
			}
		}
		kept = 0
		if op == Remove {
			h.Lines = append(h.Lines, line(Remove, a[i]))
			i++
		} else {
			h.Lines = append(h.Lines, line(Add, b[j]))
			j++
		}
	}
	for k := range hunks {
		hunks[k].finish()
	}
	return hunks
}

// finish cuts what follows the last change, counts, and marks words.
func (h *Hunk) finish() {
	end := len(h.Lines)
	for end > 0 && h.Lines[end-1].Sign == Keep {
		end--
	}
	h.Lines = h.Lines[:min(len(h.Lines), end+context)]
	for _, l := range h.Lines {
		if l.Sign != Add {
			h.OldLines++
		}
		if l.Sign != Remove {
			h.NewLines++
		}
	}
	if h.OldLines > 0 {
		h.Old++
	}
	if h.NewLines > 0 {
		h.New++
	}
	for i := 0; i < len(h.Lines); {
		removed := run(h.Lines[i:], Remove)
		added := run(h.Lines[i+removed:], Add)
		if removed > 0 && added > 0 {
			markWords(h.Lines[i:i+removed], h.Lines[i+removed:i+removed+added])
		}
		i += max(removed+added, 1)
	}
}

// run counts the lines of an op at the start.
func run(lines []TextLine, op Sign) int {
	n := 0
	for n < len(lines) && lines[n].Sign == op {
		n++
	}
	return n
}

// split cuts a text after its line feeds.
func split(text string) []string {
	if text == "" {
		return nil
	}
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}
