package grubenv

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// raw is a block with text behind its first line.
func raw(text string) []byte {
	return pad([]byte(signature+text), Size)
}

// states are blocks that a machine may come to have, with what GRUB's load_env makes of each.
var states = map[string]struct {
	block []byte
	vars  map[string]string
}{
	"empty":          {raw(""), nil},
	"one":            {raw("deltaup_active=a\n"), map[string]string{"deltaup_active": "a"}},
	"comment":        {raw("# x=1\ny=2\n###\nz=3\n"), map[string]string{"y": "2", "z": "3"}},
	"twice":          {raw("x=1\ny=2\nx=3\n"), map[string]string{"x": "3", "y": "2"}},
	"no value":       {raw("x=\ny=\n"), map[string]string{"x": "", "y": ""}},
	"equals":         {raw("x=a=b\n"), map[string]string{"x": "a=b"}},
	"escapes":        {raw("x=a\\\\b\\\nc\ny=1\n"), map[string]string{"x": "a\\b\nc", "y": "1"}},
	"garbage line":   {raw("x=1\ngarbage\ny=2\nz=3\n"), map[string]string{"x": "1", "garbage\ny": "2", "z": "3"}},
	"no end":         {raw("x=1\ny=2"), map[string]string{"x": "1"}},
	"no equals":      {raw("x=1\nnothing\n"), map[string]string{"x": "1"}},
	"backslash last": {append(raw("x=1\n")[:Size-3], "y=\\"...), map[string]string{"x": "1"}},
	"NUL":            {raw("x=1\x002\ny\x00z=3\n"), map[string]string{"x": "1", "y": "3"}},
	"full":           {append(raw("x=1\n")[:29], "y="+strings.Repeat("v", Size-32)+"\n"...), map[string]string{"x": "1", "y": strings.Repeat("v", Size-32)}},
	"zeros":          {append([]byte(signature+"x=1\n"), make([]byte, Size-29)...), map[string]string{"x": "1"}},
}

func vars(b *Block) map[string]string {
	m := map[string]string{}
	for _, v := range b.vars {
		m[v.name] = v.value
	}
	return m
}

func TestParse(t *testing.T) {
	for name, s := range states {
		if len(s.block) != Size {
			t.Fatalf("%s: %d bytes", name, len(s.block))
		}
		block, ok := LoadEnv(s.block)
		if !ok {
			t.Errorf("%s: no block", name)
			continue
		}
		if got := vars(block); !maps.Equal(got, s.vars) {
			t.Errorf("%s: %q, want %q", name, got, s.vars)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":    nil,
		"short":      raw("")[:Size-1],
		"long":       append(raw(""), '#'),
		"zeros":      make([]byte, Size),
		"first line": append([]byte("# GRUB environment block\n"), raw("")[25:]...),
	} {
		if _, err := Parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMarshalSectors holds ours in the first sector and theirs in the second, each whole.
func TestMarshalSectors(t *testing.T) {
	var b Block
	for _, v := range []variable{{"saved_entry", "0"}, {"deltaup_tries", "3"}, {"next_entry", ""}, {"deltaup_active", "a"}} {
		if err := b.Set(v.name, v.value); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	first, second := out[:Sector], out[Sector:]
	if want := pad([]byte(signature+"deltaup_active=a\ndeltaup_tries=3\n"), Sector-1); !bytes.Equal(first, append(want, '\n')) {
		t.Errorf("first sector: %q", first)
	}
	if want := pad([]byte("saved_entry=0\nnext_entry=\n"), Sector); !bytes.Equal(second, want) {
		t.Errorf("second sector: %q", second)
	}
	if err := b.Set("deltaup_trial", "bbbb"); err != nil {
		t.Fatal(err)
	}
	longer, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(longer[Sector:], second) {
		t.Error("a change of ours changes the sector of others")
	}
	back, err := Parse(longer)
	if err != nil || len(back.vars) != 5 {
		t.Errorf("read back: %q, %v", back, err)
	}
}

func TestMarshalFull(t *testing.T) {
	for name, want := range map[string]error{"deltaup_x": errFull, "x": errFull} {
		var b Block
		if err := b.Set(name, strings.Repeat("v", Sector-len(name)-1)); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Marshal(); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSetRefuses(t *testing.T) {
	var b Block
	for _, v := range []variable{{"", "1"}, {"1x", "1"}, {"a-b", "1"}, {"a=b", "1"}, {"x", "a\x00b"}} {
		if err := b.Set(v.name, v.value); err == nil {
			t.Errorf("Set(%q, %q) succeeds", v.name, v.value)
		}
	}
}

// TestEditenv holds LoadEnv and Marshal to GRUB's own tool.
func TestEditenv(t *testing.T) {
	tool, err := exec.LookPath("grub-editenv")
	if err != nil {
		if os.Getenv("DELTAUP_TEST_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "grubenv")
	list := func(b []byte) string {
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(tool, file, "list").Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for name, s := range states {
		block, _ := LoadEnv(s.block)
		seen := list(s.block)
		for k, v := range vars(block) {
			if !strings.Contains(seen, k+"="+v+"\n") {
				t.Errorf("%s: grub-editenv lists %q, not %s=%s", name, seen, k, v)
			}
		}
		again, err := block.Marshal()
		if errors.Is(err, errFull) {
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := slices.DeleteFunc(block.Names(), func(name string) bool { return !plain(name) })
		for _, k := range want {
			v, _ := block.Get(k)
			if !strings.Contains(list(again), k+"="+v+"\n") {
				t.Errorf("%s: grub-editenv does not list %s=%s in what Marshal made", name, k, v)
			}
		}
	}
}

// FuzzParse demands one encoding: what was parsed and marshalled parses to the same and stays as it
// is.
func FuzzParse(f *testing.F) {
	for _, s := range states {
		f.Add(s.block)
	}
	if len(states) == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		block, ok := LoadEnv(b)
		if !ok {
			return
		}
		out, err := block.Marshal()
		if err != nil {
			return
		}
		back, err := Parse(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range back.vars {
			if got, _ := block.Get(v.name); got != v.value {
				t.Fatalf("%s was %q, is %q", v.name, got, v.value)
			}
		}
		again, err := back.Marshal()
		if err != nil || !bytes.Equal(out, again) {
			t.Fatalf("encoded as %q, then as %q (%v)", out, again, err)
		}
	})
}
