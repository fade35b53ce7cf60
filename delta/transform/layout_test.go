package transform

import (
	"bytes"
	"testing"
)

func TestLayouts(t *testing.T) {
	pie := sample(t, "pie")
	from, to, ok := Layouts(pie, pie)
	if !ok || len(from) != len(to) {
		t.Fatalf("%d and %d sections, %v", len(from), len(to), ok)
	}
	var kinds [KindsEnd]int
	for i, s := range from {
		kinds[s.Kind]++
		if s != to[i] {
			t.Errorf("section %d: %+v and %+v", i, s, to[i])
		}
		if s.Offset == noFile {
			continue
		}
		for _, off := range []int64{s.Offset, s.Offset + int64(s.Size)/3} {
			if at := from.Scaled(to, off); at > off || at < off-1 { // rounded
				t.Errorf("%d is scaled to %d", off, at)
			}
		}
	}
	for kind, n := range kinds {
		if n == 0 {
			t.Errorf("no section of kind %d", kind)
		}
	}
	for name, other := range map[string][]byte{"empty": nil, "module": sample(t, "module.o")} {
		if _, _, ok := Layouts(pie, other); ok {
			t.Errorf("%s: a program", name)
		}
		if _, _, ok := Layouts(other, pie); ok {
			t.Errorf("%s: a program as the old one", name)
		}
	}
}

// TestLabelled: code that refers to the same string somewhere else is the same, and no other.
func TestLabelled(t *testing.T) {
	labelled := func(addr uint64, at int, text string) []byte {
		l := Layout{{holdsX86, 0, 0x1000, 16}, {holdsNone, 16, addr, 32}}
		file := append(le.AppendUint32([]byte{0x48, 0x8d, 0x05}, uint32(addr)+uint32(at)-0x1007),
			bytes.Repeat([]byte{0x90}, 9)...)
		file = append(append(file, make([]byte, at)...), text...)
		return l.Labelled(append(file, make([]byte, 48-len(file))...), 0, 16)
	}
	one := labelled(0x2000, 4, "text")
	if got := labelled(0x3000, 9, "text"); !bytes.Equal(got, one) {
		t.Errorf("%x and %x", one, got)
	}
	if got := labelled(0x3000, 9, "else"); bytes.Equal(got, one) {
		t.Error("a reference to another string is the same")
	}
}

func TestMayBeLarge(t *testing.T) {
	kernel := testVmlinuz(t, idVmlinuz, 1, []byte("kernel"))
	elf := func(kind byte) []byte {
		b := make([]byte, BeginMax)
		copy(b, "\x7fELF")
		b[16] = kind
		return b
	}
	for name, c := range map[string]struct {
		begin []byte
		size  int64
		want  bool
	}{
		"bzImage":         {kernel, maxContent, true},
		"large bzImage":   {kernel, maxContent + 1, false},
		"kernel":          {elf(elfTypeExec), maxContent + 1, true},
		"module":          {elf(elfTypeRel), maxContent + 1, true},
		"library":         {elf(elfTypeDyn), maxContent + 1, false},
		"small module":    {elf(elfTypeRel), maxContent, false},
		"something large": {make([]byte, BeginMax), maxContent + 1, false},
	} {
		if got := MayBeLarge(c.begin[:BeginMax], c.size); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
