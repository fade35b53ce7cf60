package textdiff

import (
	"unicode"
	"unicode/utf8"
)

// markWords marks what differs between removed lines and those that stand for them.
func markWords(removed, added []TextLine) {
	a, b := words(removed), words(added)
	if len(a) == 0 || len(b) == 0 || len(a)+len(b) > maxWords {
		return
	}
	texts := func(words []word) (t []string) {
		for _, w := range words {
			t = append(t, w.text)
		}
		return t
	}
	ops := script(texts(a), texts(b))
	common, all := 0, 0
	i, j := 0, 0
	for _, op := range ops {
		var w *word
		switch op {
		case Keep:
			common += 2 * len(a[i].text)
			i, j = i+1, j+1
			continue
		case Remove:
			w = &a[i]
			i++
		case Add:
			w = &b[j]
			j++
		}
		w.marked = true
	}
	for _, w := range a {
		all += len(w.text)
	}
	for _, w := range b {
		all += len(w.text)
	}
	if 3*common < all { // other lines, not changed ones
		return
	}
	mark(removed, a)
	mark(added, b)
}

// word is a run of letters and digits, a run of spaces, or any other character.
type word struct {
	text       string
	line, from int
	marked     bool
}

func words(lines []TextLine) (all []word) {
	for n, l := range lines {
		for from := 0; from < len(l.Text); {
			to := from
			kind := -1
			for to < len(l.Text) {
				r, size := utf8.DecodeRuneInString(l.Text[to:])
				k := kindOf(r)
				if kind >= 0 && (k != kind || k == other) {
					break
				}
				kind, to = k, to+size
			}
			all = append(all, word{text: l.Text[from:to], line: n, from: from})
			from = to
		}
	}
	return all
}

const (
	letters = iota
	spaces
	other
)

func kindOf(r rune) int {
	switch {
	case r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
		return letters
	case unicode.IsSpace(r):
		return spaces
	}
	return other
}

// mark puts the marked words into their lines; words next to each other become one mark.
func mark(lines []TextLine, words []word) {
	for _, w := range words {
		if !w.marked {
			continue
		}
		l := &lines[w.line]
		end := w.from + len(w.text)
		if n := len(l.Marks); n > 0 && l.Marks[n-1][1] == w.from {
			l.Marks[n-1][1] = end
			continue
		}
		l.Marks = append(l.Marks, [2]int{w.from, end})
	}
}
