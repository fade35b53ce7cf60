package transform

import (
	"bytes"
	"testing"
)

// splitModule makes a relocatable file whose BTF continues that of a kernel with firstType-1 types
// and firstName bytes of names. With later, some types and names of the kernel have moved, and the
// module's functions come first.
func splitModule(firstType, firstName uint32, later bool) []byte {
	moved := func(v uint32) uint32 {
		if later && v > 500 {
			return v*3/2 + 40
		}
		return v
	}
	var strings []byte
	name := func(s string) uint32 {
		at := firstName + uint32(len(strings))
		strings = append(append(strings, s...), 0)
		return at
	}
	const functions = 40
	protoAt := firstType + 2
	if later {
		protoAt += functions
	}
	var types []byte
	put := func(words ...uint32) {
		for _, w := range words {
			types = le.AppendUint32(types, w)
		}
	}
	// A structure of five members and a pointer to it.
	put(name("device"), btfStruct<<24|5, 40)
	for i := range uint32(5) {
		put(moved(100+300*i), moved(7+400*i), i*64)
	}
	put(0, btfPtr<<24, firstType)
	protos := func() {
		for i := range uint32(functions) {
			put(0, btfFuncProto<<24|2, moved(3*i))
			put(moved(400+i), firstType+1, moved(900-i), moved(5000+i*i))
		}
	}
	if !later {
		protos()
	}
	for i := range uint32(functions) {
		put(name("device_"+string(rune('a'+i))+string(rune('a'+i%7))), btfFunc<<24, protoAt+i)
	}
	if later {
		protos()
	}
	section := le.AppendUint16(nil, btfMagic)
	section = append(section, 1, 0)
	for _, v := range []uint32{btfHeaderSize, 0, uint32(len(types)), uint32(len(types)), uint32(len(strings))} {
		section = le.AppendUint32(section, v)
	}
	return relocatable(append(append(section, types...), strings...))
}

// relocatable makes an ELF file with a BTF section alone.
func relocatable(btf []byte) []byte {
	const names = "\x00.BTF\x00.shstrtab\x00"
	b := make([]byte, elfHeaderSize)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], elfTypeRel)
	le.PutUint16(b[18:], elfMachineX86)
	le.PutUint64(b[40:], uint64(elfHeaderSize+len(btf)+len(names)))
	le.PutUint16(b[58:], elfSectionSize)
	le.PutUint16(b[60:], 3)
	le.PutUint16(b[62:], 2)
	b = append(append(b, btf...), names...)
	section := func(name, kind uint32, off, size int) {
		h := make([]byte, elfSectionSize)
		le.PutUint32(h, name)
		le.PutUint32(h[4:], kind)
		le.PutUint64(h[24:], uint64(off))
		le.PutUint64(h[32:], uint64(size))
		b = append(b, h...)
	}
	section(0, 0, 0, 0)
	section(1, 1, elfHeaderSize, len(btf))
	section(6, 3, elfHeaderSize+len(btf), len(names))
	return b
}

func btfOf(t *testing.T, module []byte) *btf {
	f, ok := parseELF(module)
	if !ok {
		t.Fatal("no ELF file")
	}
	b, ok := parseBTF(f.section(".BTF").of(module))
	if !ok {
		t.Fatal("no BTF")
	}
	return b
}

func TestGuessBase(t *testing.T) {
	for _, later := range []bool{false, true} {
		for _, first := range []struct{ types, names uint32 }{{95000, 1700000}, {20000, 30000}, {1 << 20, 1 << 24}} {
			b := btfOf(t, splitModule(first.types, first.names, later))
			if got := b.guessType(); got != first.types {
				t.Errorf("later %v: first type %d, want %d", later, got, first.types)
			}
			if got := b.guessName(); got != first.names {
				t.Errorf("later %v: first name %d, want %d", later, got, first.names)
			}
		}
	}
}

// TestBTFIgnoresBase demands that the rewritten types are the same for any kernel.
func TestBTFIgnoresBase(t *testing.T) {
	a, b := btfOf(t, splitModule(95000, 1700000, false)), btfOf(t, splitModule(95246, 1704094, false))
	if bytes.Equal(a.types, b.types) {
		t.Fatal("the samples are equal before")
	}
	for _, x := range []*btf{a, b} {
		base := &btfBase{}
		if !x.forward(base, nil) || len(base.types) == 0 || len(base.names) == 0 {
			t.Fatal("not rewritten")
		}
	}
	if !bytes.Equal(a.types, b.types) {
		t.Error("the rewritten types differ")
	}
}

func TestBTFOrder(t *testing.T) {
	// References by name stay the same whether functions come before or after their prototypes.
	count := func(b *btf) (n int) {
		b.walk(func(_ int, word byte, p []byte) {
			if word == 't' && le.Uint32(p)>>30 == 3 {
				n++
			}
		})
		return n
	}
	for _, later := range []bool{false, true} {
		b := btfOf(t, splitModule(95000, 1700000, later))
		if !b.forward(&btfBase{}, nil) || count(b) != 1 {
			t.Errorf("later %v: %d references by name, want that of the pointer", later, count(b))
		}
	}
}
