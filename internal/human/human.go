// Package human writes what machines have for people: any text as one printable line, names that
// can be read back, sizes and times in handy units. Texts that nobody has signed, names in images
// and lines of a kernel's console go through it before a terminal shows them.
package human

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Line makes one printable line of s. It replaces each run of line breaks, of what a terminal could
// take for a command, and of what turns the direction of writing by a space, and each other byte
// that is not UTF-8 by U+FFFD. It cuts off what is longer than most bytes and appends "…".
func Line(s string, most int) string {
	cut := len(s) > most
	if cut {
		end := most
		for i := 0; i < utf8.UTFMax && end > 0 && !utf8.RuneStart(s[end]); i++ {
			end-- // do not cut within a character
		}
		s = s[:end]
	}
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if strings.IndexFunc(s, notPrintable) >= 0 {
		s = strings.Join(strings.FieldsFunc(s, notPrintable), " ")
	}
	if cut {
		s += "…"
	}
	return s
}

func notPrintable(r rune) bool { return !strconv.IsPrint(r) }

// Name gives a file's name as it is, or quoted as in Go where it could be misread. No two names
// look the same, and strconv.Unquote gives back a name that begins with a quotation mark.
func Name(s string) string {
	switch {
	case s == "" || s[0] == '"' || s[0] == ' ' || s[len(s)-1] == ' ' || strings.Contains(s+" ", " -> "),
		!utf8.ValidString(s),
		strings.IndexFunc(s, notPrintable) >= 0:
		return strconv.Quote(s)
	}
	return s
}

// Duration rounds a time as an estimate deserves.
func Duration(d time.Duration) time.Duration {
	switch {
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d < 10*time.Minute:
		return d.Round(time.Second)
	}
	return d.Round(time.Minute)
}
