package textdiff

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// format writes hunks as diff -u does, with marks in brackets.
func format(hunks []Hunk, marks bool) string {
	var b strings.Builder
	side := func(at, n int) string {
		if n == 1 {
			return fmt.Sprint(at)
		}
		return fmt.Sprintf("%d,%d", at, n)
	}
	for _, h := range hunks {
		fmt.Fprintf(&b, "@@ -%s +%s @@\n", side(h.Old, h.OldLines), side(h.New, h.NewLines))
		for _, l := range h.Lines {
			b.WriteByte(byte(l.Sign))
			at := 0
			for _, m := range l.Marks {
				if marks {
					b.WriteString(l.Text[at:m[0]] + "[" + l.Text[m[0]:m[1]] + "]")
					at = m[1]
				}
			}
			b.WriteString(l.Text[at:] + "\n")
			if l.NoEnd {
				b.WriteString("\\ No newline at end of file\n")
			}
		}
	}
	return b.String()
}

func TestHunks(t *testing.T) {
	long := func(change map[int]string) string {
		var b strings.Builder
		for i := 1; i <= 30; i++ {
			if s, ok := change[i]; ok {
				b.WriteString(s)
			} else {
				fmt.Fprintf(&b, "line %d\n", i)
			}
		}
		return b.String()
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"same":      {"a\nb\n", "a\nb\n", ""},
		"new":       {"", "a\n", "@@ -0,0 +1 @@\n+a\n"},
		"gone":      {"a\nb", "", "@@ -1,2 +0,0 @@\n-a\n-b\n\\ No newline at end of file\n"},
		"a word":    {"host one two\n", "host ten two\n", "@@ -1 +1 @@\n-host [one] two\n+host [ten] two\n"},
		"one added": {"x = 1\n", "x = 1, 2\n", "@@ -1 +1 @@\n-x = 1\n+x = 1[, 2]\n"},
		"others":    {"alpha beta\n", "gamma=1\n", "@@ -1 +1 @@\n-alpha beta\n+gamma=1\n"},
		"end":       {"a\n", "a", "@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n"},
		"two far apart": {long(nil), long(map[int]string{2: "", 25: "line 25 more\n"}),
			"@@ -1,5 +1,4 @@\n line 1\n-line 2\n line 3\n line 4\n line 5\n" +
				"@@ -22,7 +21,7 @@\n line 22\n line 23\n line 24\n-line 25\n+line 25[ more]\n line 26\n line 27\n line 28\n"},
		"two close": {long(nil), long(map[int]string{10: "", 17: ""}),
			"@@ -7,14 +7,12 @@\n line 7\n line 8\n line 9\n-line 10\n line 11\n line 12\n line 13\n line 14\n line 15\n line 16\n-line 17\n line 18\n line 19\n line 20\n"},
	} {
		if got := format(Hunks(c.from, c.to), true); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

// FuzzHunks lets patch make the new text of the old one: what it makes is the proof of a diff.
func FuzzHunks(f *testing.F) {
	f.Add("a\nb\nc\n", "a\nc\nd")
	f.Add("", "x\n")
	f.Add("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n3\n4\n5\n6\n7\n8\n9\n10\n")
	f.Fuzz(func(t *testing.T, from, to string) {
		got := apply(t, from, Hunks(from, to))
		if got != to {
			t.Errorf("%q with the hunks of %q is %q", from, to, got)
		}
	})
}

// apply makes the new text, and checks all numbers on the way.
func apply(t *testing.T, from string, hunks []Hunk) string {
	t.Helper()
	old := split(from)
	var b strings.Builder
	at, written := 0, 0
	for _, h := range hunks {
		start := h.Old
		if h.OldLines > 0 {
			start--
		}
		for ; at < start; at++ {
			b.WriteString(old[at])
			written++
		}
		oldLines, newLines := 0, 0
		if first := h.New; h.NewLines > 0 && first != written+1 || h.NewLines == 0 && first != written {
			t.Errorf("the hunk begins at %d of the new text, not at %d", h.New, written)
		}
		for _, l := range h.Lines {
			text := l.Text
			if !l.NoEnd {
				text += "\n"
			}
			if l.Sign != Add {
				if at >= len(old) || old[at] != text {
					t.Fatalf("line %d of the old text is not %q", at+1, text)
				}
				at++
				oldLines++
			}
			if l.Sign != Remove {
				b.WriteString(text)
				written++
				newLines++
			}
			for i, m := range l.Marks {
				if m[0] >= m[1] || m[1] > len(l.Text) || i > 0 && m[0] <= l.Marks[i-1][1] {
					t.Errorf("marks %v in %q", l.Marks, l.Text)
				}
			}
		}
		if oldLines != h.OldLines || newLines != h.NewLines {
			t.Errorf("the hunk has %d and %d lines, and says %d and %d", oldLines, newLines, h.OldLines, h.NewLines)
		}
	}
	for ; at < len(old); at++ {
		b.WriteString(old[at])
	}
	return b.String()
}

// TestAgainstDiff holds the hunks to those of diff -u.
func TestAgainstDiff(t *testing.T) {
	tool, err := exec.LookPath("diff")
	if err != nil {
		t.Skip("there is no diff")
	}
	dir := t.TempDir()
	from, to := "", ""
	for i := range 200 {
		if i%17 != 3 {
			from += fmt.Sprintf("entry %d\n", i)
		}
		if i%23 != 5 {
			to += fmt.Sprintf("entry %d\n", i)
		}
	}
	for name, text := range map[string]string{"a": from, "b": to} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := exec.Command(tool, "-u", filepath.Join(dir, "a"), filepath.Join(dir, "b")).Output() // 1: they differ
	_, want, _ := strings.Cut(string(out), "\n")
	_, want, _ = strings.Cut(want, "\n")
	if got := format(Hunks(from, to), false); got != want || got == "" {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestTooFar has texts with nothing in common: the search gives up, and the result is right.
func TestTooFar(t *testing.T) {
	var a, b strings.Builder
	for i := range 3 * maxSteps {
		fmt.Fprintf(&a, "a%d\n", i)
		fmt.Fprintf(&b, "b%d\n", i)
	}
	hunks := Hunks("first\n"+a.String(), "first\n"+b.String())
	if got := apply(t, "first\n"+a.String(), hunks); got != "first\n"+b.String() {
		t.Error("the hunks do not make the new text")
	}
	if hunks[0].Lines[0].Sign != Keep || len(hunks) != 1 {
		t.Errorf("%d hunks", len(hunks))
	}
}
