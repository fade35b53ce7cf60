package grubenv

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// full is a block as this package writes it, with variables of others.
func full(t testing.TB) []byte {
	t.Helper()
	var b Block
	for _, v := range []variable{{"deltaup_active", "a"}, {"deltaup_tries", "0"}, {"saved_entry", "gnu-linux"}, {"next_entry", ""}, {"boot_success", "1"}} {
		if err := b.Set(v.name, v.value); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// damage is a state of the file in the place of a block.
type damage struct {
	bytes   []byte
	foreign bool              // it is not overwritten
	theirs  map[string]string // variables of others that are there afterwards
	ours    bool              // deltaup_active is still known
	inPlace bool              // the file stays the same one
}

func join(before []byte, text string) []byte { return append(bytes.Clone(before), text...) }

// damages are states by name.
func damages(t testing.TB) map[string]damage {
	whole := full(t)
	theirs := map[string]string{"saved_entry": "gnu-linux", "next_entry": "", "boot_success": "1"}
	none := map[string]string{}
	all := map[string]damage{
		"sound":               {whole, false, theirs, true, true},
		"others' only":        {raw("saved_entry=2\n"), false, map[string]string{"saved_entry": "2"}, false, true},
		"empty":               {[]byte{}, false, none, false, false},
		"zeros":               {make([]byte, Size), false, none, false, true},
		"few zeros":           {make([]byte, 100), false, none, false, false},
		"many zeros":          {make([]byte, 4*Size), false, none, false, false},
		"too many zeros":      {make([]byte, maxFile+1), true, nil, false, false},
		"first sector zeros":  {join(make([]byte, Sector), string(whole[Sector:])), false, theirs, false, true},
		"second sector zeros": {join(whole[:Sector], string(make([]byte, Sector))), false, none, true, true},
		"twice as long":       {join(whole, strings.Repeat("#", Size)), false, theirs, true, false},
		// x is in the comment
		"more behind it":          {join(raw(""), "x=1\ny=2\n"), false, map[string]string{"y": "2"}, false, false},
		"other first line":        {join([]byte("# GRUB environment block\n"), string(whole[25:])), false, theirs, false, true},
		"line ends of DOS":        {bytes.ReplaceAll(whole, []byte("\n"), []byte("\r\n")), false, theirs, false, false},
		"garbage, then a value":   {raw("x=1\ngarbage\nsaved_entry=2\nz=3\n"), false, map[string]string{"x": "1", "saved_entry": "2", "z": "3"}, false, true},
		"garbage in the middle":   {join(whole[:600], "\xff\x00\xfe\n"+string(whole[604:])), false, theirs, true, true},
		"garbage over ours":       {join(whole[:30], "\xff\xfe\xfd"+string(whole[33:])), false, theirs, false, true},
		"noise of a block's size": {bytes.Repeat([]byte{0xa5, 0x5a}, Size/2), false, none, false, true},
		"noise of another size":   {bytes.Repeat([]byte{0xa5, 0x5a}, 300), true, nil, false, false},
		"a grub.cfg":              {[]byte("search.fs_uuid 1234-ABCD root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n"), true, nil, false, false},
		"a kernel":                {bytes.Repeat([]byte("MZ\x90\x00"), 1<<20), true, nil, false, false},
		"a line":                  {[]byte("hello\n"), true, nil, false, false},
	}
	for n := 1; n < Size; n += 41 { // cut off
		want := damage{bytes: whole[:n], theirs: map[string]string{}, ours: n >= len(signature)+len("deltaup_active=a\n")}
		for name, value := range theirs {
			if i := bytes.Index(whole, []byte(name+"="+value+"\n")); i >= 0 && i+len(name)+len(value)+2 <= n {
				want.theirs[name] = value
			}
		}
		all[fmt.Sprintf("cut to %d bytes", n)] = want
	}
	for n := 0; n < Size; n += 64 { // zeros over 64 bytes
		b := bytes.Clone(whole)
		clear(b[n : n+64])
		want := damage{bytes: b, theirs: theirs, ours: n >= 64, inPlace: true}
		if n == Sector {
			want.theirs = none // all three were there
		}
		all[fmt.Sprintf("zeros from %d on", n)] = want
	}
	return all
}

// TestMend makes a sound block of each damaged one: GRUB reads it, and others' variables that could
// be read are there.
func TestMend(t *testing.T) {
	all := damages(t)
	for name, d := range all {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "grubenv")
			if err := os.WriteFile(path, d.bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			before, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			place, err := Find(path)
			if d.foreign {
				if !errors.Is(err, ErrForeign) {
					t.Errorf("found %+v, %v", place, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Read(path); (err == nil) != (place.Fault == nil) {
				t.Errorf("Read says %v, Find %v", err, place.Fault)
			}
			var active bool
			err = place.Apply(t.Context(), func(b *Block) error {
				_, active = b.Get("deltaup_active")
				return b.Set("deltaup_id", "1234")
			})
			if err != nil {
				t.Fatal(err)
			}
			b, err := Read(path)
			if err != nil {
				t.Fatal(err)
			}
			got := vars(b)
			if got["deltaup_id"] != "1234" || active != d.ours {
				t.Errorf("ours: %v, was there: %v", got, active)
			}
			maps.DeleteFunc(got, func(name, _ string) bool { return strings.HasPrefix(name, Prefix) })
			if !maps.Equal(got, d.theirs) {
				t.Errorf("others' are %q, want %q", got, d.theirs)
			}
			after, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if os.SameFile(before, after) != d.inPlace || after.Mode() != before.Mode() {
				t.Errorf("the same file: %v; mode %v", os.SameFile(before, after), after.Mode())
			}
			if err := place.Undo(); err != nil {
				t.Fatal(err)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, d.bytes) {
				t.Errorf("taken back: %q, %v", now, err)
			}
		})
	}
	if len(all) < 60 {
		t.Errorf("%d states", len(all))
	}
}

// TestMendKinds looks at what is no file, without waiting for it.
func TestMendKinds(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := unix.Mkfifo(at("pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("missing", at("dangling")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{dir: ErrForeign, at("pipe"): ErrForeign, "/dev/null": ErrForeign} {
		if _, err := Find(path); !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := Read(path); err == nil {
			t.Errorf("%s: read", path)
		}
	}
	for _, name := range []string{"missing", "dangling"} {
		p, err := Find(at(name))
		if err != nil || !errors.Is(p.Fault, fs.ErrNotExist) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// TestUndoMeanwhile does not take back what somebody else has written.
func TestUndoMeanwhile(t *testing.T) {
	path := newFile(t)
	p, err := Find(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context(), func(b *Block) error { return b.Set("deltaup_active", "a") }); err != nil {
		t.Fatal(err)
	}
	if err := Change(t.Context(), path, func(b *Block) error { return b.Set("deltaup_active", "b") }); err != nil {
		t.Fatal(err)
	}
	if err := p.Undo(); err == nil {
		t.Error("taken back")
	}
	if b, err := Read(path); err != nil || vars(b)["deltaup_active"] != "b" {
		t.Errorf("%v, %v", b, err)
	}
}

// FuzzMend finds a place for any bytes: they are foreign, or become a block that reads back.
func FuzzMend(f *testing.F) {
	all := damages(f)
	if len(all) == 0 {
		f.Fatal("no seeds")
	}
	for _, d := range all {
		if len(d.bytes) <= 4*Size {
			f.Add(d.bytes)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		block, err := salvage(b)
		if err != nil {
			return
		}
		out, err := block.Marshal()
		if err != nil {
			return // full
		}
		back, err := Parse(out)
		if err != nil {
			t.Fatal(err)
		}
		// What GRUB reads is kept.
		read, ok := LoadEnv(b)
		for name, value := range vars(back) {
			if was, there := read.find(name); ok && there && was != value {
				t.Fatalf("%s was %q, is %q", name, was, value)
			}
		}
	})
}

func (b *Block) find(name string) (string, bool) {
	if b == nil {
		return "", false
	}
	return b.Get(name)
}
