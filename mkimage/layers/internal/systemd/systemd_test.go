package systemd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/internal/test/treetest"
	"deltaup/mkimage/internal/lookup"
)

// TestLine splits texts with all ends of lines that systemd knows.
func TestLine(t *testing.T) {
	for text, want := range map[string][]string{
		"":                      nil,
		"a":                     {"a"},
		"a\nb\n":                {"a", "b"},
		"a\r\nb\n\rc\rd\x00e":   {"a", "b", "c", "d", "e"},
		"a\n\nb\r\rc\x00\x00d":  {"a", "", "b", "", "c", "", "d"},
		"a\n\r\x00b\r\n\x00\nc": {"a", "b", "", "c"},
		"\n\x00\rx":             {"", "", "x"},
	} {
		var got []string
		for rest := []byte(text); ; {
			line, behind, ok, err := Line(rest)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			got = append(got, line)
			rest = behind
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q has the lines %q, want %q", text, got, want)
		}
	}
	long := strings.Repeat("x", lineMax)
	if _, _, ok, err := Line([]byte(long)); ok || err == nil {
		t.Error("a line that is too long is taken")
	}
	if line, _, ok, err := Line([]byte(long[1:] + "\n")); !ok || err != nil || len(line) != lineMax-1 {
		t.Errorf("the longest line: %d bytes, %v", len(line), err)
	}
}

// TestStrings stores an end of a string within it, if the string came first.
func TestStrings(t *testing.T) {
	s := NewStrings()
	for i, c := range []struct {
		text string
		want int
	}{
		{"", 0}, {"kitchen", 1}, {"chicken", 9}, {"kitchen", 1}, {"chen", 4}, {"ken", 13}, {"n", 7},
		{"a longer kitchen", 17}, {"longer kitchen", 19}, {"x", 34}, {"", 0},
	} {
		if got := s.Add(c.text); got != c.want {
			t.Errorf("%d: %q is at %d, want %d", i, c.text, got, c.want)
		}
		if at := s.At(c.want); at != c.text && c.text != "" {
			t.Errorf("at %d is %q, want %q", c.want, at, c.text)
		}
	}
	if want := "\x00kitchen\x00chicken\x00a longer kitchen\x00x\x00"; string(s.Bytes()) != want {
		t.Errorf("%q, want %q", s.Bytes(), want)
	}
}

// TestFiles lists files of several folders.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"etc/d/b.x": "etc b", "etc/d/a.y": "no", "usr/lib/d/b.x": "hidden", "usr/lib/d/a.x": "usr a", "usr/lib/d/c.x": "hidden",
	} {
		treetest.Write(t, filepath.Join(dir, name), text)
	}
	for link, target := range map[string]string{"lib": "usr/lib", "etc/d/c.x": "/dev/null", "etc/d/d.x": "gone"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	in := treetest.Open(t, dir)
	var got []string
	for _, f := range Files(lookup.New(in), ".x", "/etc/d", "/none", "/lib/d") {
		text := string(f.Text)
		if f.Err != nil {
			text = "error"
		}
		got = append(got, f.Path+" "+text)
	}
	want := []string{"/usr/lib/d/a.x usr a", "/etc/d/b.x etc b", "/etc/d/c.x ", "/etc/d/d.x error"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
