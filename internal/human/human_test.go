package human

import (
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "",
		"what is new":                 "what is new",
		"  two  spaces ":              "  two  spaces ",
		"one\ntwo\r\n\tthree":         "one two three",
		"\x1b[2Jcleared\x07":          "[2Jcleared",
		"umlaut ä, \u202eback":        "umlaut ä,  back",
		"\u2066isolated\u2069":        "isolated",
		"a\u2028b\u2029c\u0085d":      "a b c d",
		"C1 \u009b31m, \x7f":          "C1  31m, ",
		"not UTF-8 \xff\xfe end":      "not UTF-8 \ufffd end",
		"zero\u200bwidth":             "zero width",
		strings.Repeat("x", 50):       strings.Repeat("x", 40) + "…",
		strings.Repeat("x", 39) + "ä": strings.Repeat("x", 39) + "…",
	} {
		if got := Line(text, 40); got != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{1234 * time.Millisecond: "1.2s", 75400 * time.Millisecond: "1m15s", 3*time.Hour + 29*time.Second: "3h0m0s"} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%v became %q, not %q", d, got, want)
		}
	}
}

// TestNameBesideTarget demands that a reader can tell a link's name from its target in a line that
// shows both.
func TestNameBesideTarget(t *testing.T) {
	lines := make(map[string][2]string)
	parts := []string{"x", "->", "x ->", "-> x", "x -> x", "x -", "> x", " "}
	for _, name := range parts {
		for _, target := range parts {
			line := Name(name) + " -> " + Name(target)
			if other, ok := lines[line]; ok {
				t.Errorf("%s is both %q and %q", line, other, [2]string{name, target})
			}
			lines[line] = [2]string{name, target}
		}
	}
}

// FuzzLine demands that lines and names are printable, and that no two names look the same.
func FuzzLine(f *testing.F) {
	for _, s := range []string{"", "a", "a\x1b[2J\nb", "\"a\"", "a -> b", "ä\xff", " "} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = min(max(most, 0), 1<<10)
		line, name := Line(s, most), Name(s)
		for _, got := range []string{line, name} {
			if !utf8.ValidString(got) || strings.IndexFunc(got, notPrintable) >= 0 {
				t.Errorf("%q became %q", s, got)
			}
		}
		if len(line) > 3*most+len("…") { // U+FFFD takes three bytes
			t.Errorf("%d bytes became %d", len(s), len(line))
		}
		back := name
		if strings.HasPrefix(name, `"`) {
			var err error
			if back, err = strconv.Unquote(name); err != nil {
				t.Error(err)
			}
		}
		if back != s {
			t.Errorf("%q became %s, which is %q", s, name, back)
		}
	})
}
