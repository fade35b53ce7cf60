package merge

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLines(t *testing.T) {
	for name, c := range map[string]struct{ base, local, image, want string }{
		"both":          {"a\nb\nc\nd\ne\n", "A\nb\nc\nd\ne\n", "a\nb\nc\nd\nE\n", "A\nb\nc\nd\nE\n"},
		"added":         {"a\nb\nc\n", "a\nx\nb\nc\n", "a\nb\nc\ny\n", "a\nx\nb\nc\ny\n"},
		"removed":       {"a\nb\nc\nd\n", "b\nc\nd\n", "a\nb\nc\n", "b\nc\n"},
		"the same":      {"a\nb\nc\nd\n", "a\nX\nc\nD\n", "A\nX\nc\nd\n", "-"},
		"the same too":  {"a\nb\nc\nd\ne\nf\n", "a\nX\nc\nd\ne\nF\n", "a\nX\nc\ne\nf\n", "a\nX\nc\ne\nF\n"},
		"the same once": {"a\nb\nc\nd\ne\nf\n", "a\nX\nc\nd\ne\nF\n", "a\nX\nc\nD\ne\nf\n", "a\nX\nc\nD\ne\nF\n"},
		"conflict":      {"a\nb\nc\n", "a\nX\nc\n", "a\nY\nc\n", "-"},
		"side by side":  {"a\nb\nc\n", "a\nX\nc\n", "a\nb\nY\n", "-"},
		"one apart":     {"a\nb\nc\nd\n", "a\nX\nc\nd\n", "a\nb\nc\nY\n", "a\nX\nc\nY\n"},
		"both at end":   {"a\n", "a\nx\n", "a\ny\n", "-"},
		"no end":        {"a\nb\nc", "A\nb\nc", "a\nb\nc\n", "A\nb\nc\n"},
		"no end either": {"a\nb\nc", "A\nb\nc", "a\nb\nC", "A\nb\nC"},
		"end taken":     {"a\nb\nc\n", "A\nb\nc\n", "a\nb\nc", "A\nb\nc"},
		"one side":      {"a\x00", "a\x00", "b\x00", "b\x00"},
		"no text":       {"a\nb\nc\n", "A\nb\nc\n", "a\nb\nc\n\x00", "-"},
		"from nothing":  {"", "a\n", "b\n", "-"},
		"all gone":      {"a\nb\nc\n", "", "a\nb\nc\nd\n", "-"},
		// which a was removed?
		"unclear": {"a\na\na\na\na\n", "a\na\na\na\n", "a\na\na\nx\na\na\n", "-"},
	} {
		got, ok := Lines([]byte(c.base), []byte(c.local), []byte(c.image))
		if !ok {
			got = []byte("-")
		}
		if string(got) != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
		if swapped, ok := Lines([]byte(c.base), []byte(c.image), []byte(c.local)); ok != (c.want != "-") || ok && string(swapped) != c.want {
			t.Errorf("%s: the sides swapped: %q", name, swapped)
		}
	}
}

// gnu merges as merge(1) does. It fails when there is a conflict.
func gnu(t *testing.T, dir string, base, local, image []byte) ([]byte, bool) {
	t.Helper()
	args := []string{"-m", "-E"}
	for _, f := range []struct {
		name string
		text []byte
	}{{"local", local}, {"base", base}, {"image", image}} {
		name := filepath.Join(dir, f.name)
		if err := os.WriteFile(name, f.text, 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	out, err := exec.Command("diff3", args...).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatal(err)
	}
	return out, err == nil
}

func needDiff3(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("diff3"); err != nil {
		if os.Getenv("DELTAUP_TEST_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip("no diff3")
	}
}

// edit changes some lines of a text.
func edit(r *rand.Rand, lines []string, edits int, fresh func() string) []string {
	lines = append([]string(nil), lines...)
	for range edits {
		at := r.IntN(len(lines) + 1)
		n := min(1+r.IntN(3), len(lines)-at)
		switch r.IntN(4) {
		case 0:
			lines = append(lines[:at], lines[at+n:]...)
		case 1:
			lines = append(lines[:at], append([]string{fresh()}, lines[at:]...)...)
		case 2:
			for i := range n {
				lines[at+i] = fresh()
			}
		case 3: // copied
			lines = append(lines[:at], append(append([]string(nil), lines[at:at+n]...), lines[at:]...)...)
		}
	}
	return lines
}

// TestDiff3 compares with GNU diff3: when both merge, the result is the same.
func TestDiff3(t *testing.T) {
	needDiff3(t)
	var real [][]string
	for _, name := range []string{"/etc/login.defs", "/etc/ssh/ssh_config", "/etc/services", "/etc/bash.bashrc", "/etc/nsswitch.conf", "/etc/adduser.conf"} {
		if text, err := os.ReadFile(name); err == nil {
			real = append(real, strings.SplitAfter(string(text), "\n"))
		}
	}
	dir := t.TempDir()
	for _, c := range []struct {
		name   string
		rounds int
		kinds  int // of lines; 0: real files
	}{{"3 kinds", 150, 3}, {"8 kinds", 150, 8}, {"100 kinds", 150, 100}, {"real", 150, 0}} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(c.kinds)))
			both, stricter, laxer, neither := 0, 0, 0, 0
			for range c.rounds {
				var base []string
				fresh := func() string { return fmt.Sprintf("line %d\n", r.IntN(c.kinds)) }
				if c.kinds == 0 {
					if len(real) == 0 {
						t.Skip("no real files")
					}
					base = real[r.IntN(len(real))]
					fresh = func() string { return base[r.IntN(len(base))] + fmt.Sprintf("%d\n", r.IntN(100)) }
				}
				for range 5 + r.IntN(40) {
					if c.kinds > 0 {
						base = append(base, fresh())
					}
				}
				local := edit(r, base, 1+r.IntN(3), fresh)
				image := edit(r, base, 1+r.IntN(3), fresh)
				texts := [3][]byte{}
				for i, lines := range [][]string{base, local, image} {
					texts[i] = []byte(strings.Join(lines, ""))
					if r.IntN(10) == 0 {
						texts[i] = bytes.TrimSuffix(texts[i], []byte("\n"))
					}
				}
				got, ok := Lines(texts[0], texts[1], texts[2])
				want, wantOK := gnu(t, dir, texts[0], texts[1], texts[2])
				switch {
				case ok && wantOK:
					if both++; !bytes.Equal(got, want) {
						t.Errorf("base %q\nlocal %q\nimage %q\ngives %q\ndiff3 %q", texts[0], texts[1], texts[2], got, want)
					}
				case ok:
					laxer++
				case wantOK:
					stricter++
				default:
					neither++
				}
			}
			if both < c.rounds/3 {
				t.Errorf("only %d are merged by both", both)
			}
			t.Logf("%d merged by both, %d only by diff3, %d only here, %d by neither", both, stricter, laxer, neither)
		})
	}
}

// TestLinesHostile merges what is made to take time and memory.
func TestLinesHostile(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	many := func(n int, line func(i int) string) []byte {
		var b bytes.Buffer
		for i := range n {
			b.WriteString(line(i) + "\n")
		}
		return b.Bytes()
	}
	different := func(side string) []byte {
		return many(maxLines, func(i int) string { return fmt.Sprint(side, i) })
	}
	few := func(kinds int) []byte {
		return many(maxLines, func(int) string { return fmt.Sprint(r.IntN(kinds)) })
	}
	same := func(n int) []byte { return many(n, func(int) string { return "x" }) }
	for name, texts := range map[string][3][]byte{
		"all different":  {different("a"), different("b"), different("c")},
		"two kinds":      {few(2), few(2), few(2)},
		"many kinds":     {few(50_000), few(50_000), few(50_000)},
		"all the same":   {same(maxLines), same(maxLines - 10), same(maxLines - 20_000)},
		"nearly":         {same(maxLines), append([]byte("y\n"), same(maxLines-10)...), append(same(maxLines-20), []byte("z\n")...)},
		"too many lines": {same(maxLines), same(maxLines + 1), same(maxLines - 1)},
	} {
		start := time.Now()
		_, ok := Lines(texts[0], texts[1], texts[2])
		if took := time.Since(start); ok != (name == "nearly") || took > 20*time.Second {
			t.Errorf("%s: %v after %v", name, ok, took)
		} else {
			t.Logf("%s: %v", name, took)
		}
	}
	base := different("a")
	local := append([]byte("local\n"), base...)
	image := append(base[:len(base):len(base)], []byte("image\n")...)
	if _, ok := Lines(base[2:], local, image); ok {
		t.Error("more than maxLines lines")
	}
	base = base[:len(base)/2]
	base = base[:bytes.LastIndexByte(base, '\n')+1]
	if got, ok := Lines(base, append([]byte("local\n"), base...), append(base[:len(base):len(base)], []byte("image\n")...)); !ok || len(got) != len(base)+12 {
		t.Errorf("a large file is not merged: %d bytes", len(got))
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\nc\n"), []byte("A\nb\nc\n"), []byte("a\nb\nC"))
	f.Add([]byte("a\na\nb\n"), []byte("a\nb\na\n"), []byte("a\na\na\nb"))
	f.Fuzz(func(t *testing.T, base, local, image []byte) {
		if got, ok := Lines(base, local, base); !ok || !bytes.Equal(got, local) {
			t.Fatalf("%q: an image without changes changes it to %q", local, got)
		}
		if got, ok := Lines(base, base, image); !ok || !bytes.Equal(got, image) {
			t.Fatalf("%q: a machine without changes changes it to %q", image, got)
		}
		got, ok := Lines(base, local, image)
		if !ok {
			return
		}
		if other, ok := Lines(base, image, local); !ok || !bytes.Equal(got, other) {
			t.Fatalf("%q, %q, %q: the sides are not alike: %q, %q", base, local, image, got, other)
		}
		// each line of the result is of a version
		known := map[string]bool{}
		for _, text := range [][]byte{base, local, image} {
			for line := range bytes.Lines(text) {
				known[string(line)] = true
			}
		}
		for line := range bytes.Lines(got) {
			if !known[string(line)] {
				t.Fatalf("%q, %q, %q: %q comes from nowhere", base, local, image, line)
			}
		}
	})
}
