package transform

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// testKernel makes kernels: functions that call each other and refer to strings and data, the table
// of symbols, tables of addresses, types and relocations.
type testKernel struct {
	late  bool // the addresses of symbols come last, as since Linux 6.4
	moved bool // some functions and strings are longer, there is one more, and types come in another order
	flat  bool // variables per processor have addresses like all others, as since Linux 6.15
	zeros int  // bytes of data without a symbol
}

const (
	testText   = 0x81000000
	testData   = 0x82000000
	testPerCPU = 0x2000 // bytes
)

type testSection struct {
	name  string
	addr  uint64
	flags uint64
	b     []byte
}

type testSymbol struct {
	name string
	addr uint32
}

func (k testKernel) functions() (names []string) {
	for i := range 300 {
		names = append(names, fmt.Sprintf("func_%c%c%d", 'a'+i%7, 'a'+i%5, i))
	}
	if k.moved {
		names = slices.Insert(names, 40, "func_new")
	}
	return names
}

// strings gives the strings and where each begins.
func (k testKernel) strings() (b []byte, at []uint32) {
	for i := range 60 {
		at = append(at, uint32(len(b)))
		b = fmt.Appendf(b, "string number %d\x00", i)
		if k.moved && i == 10 {
			b = append(b, "a new one between the others\x00"...)
		}
	}
	return b, at
}

func (k testKernel) file() []byte {
	names := k.functions()
	text, strings := make([]byte, 0), []byte(nil)
	strings, at := k.strings()
	starts := make([]uint32, len(names))
	length := func(i int) int {
		if n := 32 + i%3*16; k.moved && i%50 == 7 {
			return n + 16
		} else {
			return n
		}
	}
	for i, a := 0, uint32(testText); i < len(names); i++ {
		starts[i] = a
		a += uint32(length(i))
	}
	symbols, counter := []testSymbol{{"Afixed_percpu_data", 0}, {"Dcounter", 0x40}}, uint32(0x40)
	if k.flat {
		symbols, counter = nil, testText+0x400040
	}
	var relocs [relocTables][]uint32
	var orc, ex []uint32
	for i, name := range names {
		symbols = append(symbols, testSymbol{"t" + name, starts[i]})
		if name != "func_new" {
			here := func() uint32 { return testText + uint32(len(text)) }
			text = append(text, 0xe8)
			text = le.AppendUint32(text, starts[(i*7+3)%300]-here()-4)
			text = append(text, 0x48, 0x8d, 0x05)
			text = le.AppendUint32(text, testData+0x100+at[i%60]-here()-4)
			text = append(text, 0x48, 0xc7, 0xc0)
			relocs[reloc32] = append(relocs[reloc32], here())
			text = le.AppendUint32(text, testData+0x100+at[i*11%60])
			text = append(text, 0x65, 0x8b, 0x05)
			if !k.flat {
				relocs[relocPerCPU] = append(relocs[relocPerCPU], here())
			}
			text = le.AppendUint32(text, counter-here()-4)
			text = append(text, 0x75, 0xf0, 0xc3)
			orc, ex = append(orc, starts[i], here()), append(ex, starts[i]+5)
		}
		text = append(text, bytes.Repeat([]byte{0xcc}, int(starts[i]-testText)+length(i)-len(text))...)
	}
	rodata := make([]byte, 0x100)
	for i := 0; i < 0x100; i += 8 {
		relocs[reloc64] = append(relocs[reloc64], testData+uint32(i))
		le.PutUint64(rodata[i:], 0xffffffff_00000000|uint64(starts[i]))
	}
	symbols = append(symbols, testSymbol{"dtable", testData}, testSymbol{"rstrings", testData + 0x100})
	rodata = append(rodata, strings...)
	rodata, base := k.kallsyms(rodata, symbols)
	relocs[reloc64] = append(relocs[reloc64], testData+uint32(base))
	sections := []testSection{
		{".text", 0xffffffff_00000000 | testText, flagAlloc | flagExec, text},
		{".rodata", 0xffffffff_00000000 | testData, flagAlloc, rodata},
		{".orc_unwind_ip", 0xffffffff_82100000, flagAlloc, selfRelative(orc, 0x82100000, 4)},
		{"__ex_table", 0xffffffff_82200000, flagAlloc, selfRelative(ex, 0x82200000, 12)},
		{".BTF", 0xffffffff_82300000, flagAlloc, k.types()},
		{".data", 0xffffffff_82400000, flagAlloc | flagWrite, make([]byte, k.zeros)},
		{".data..percpu", 0, flagAlloc | flagWrite, make([]byte, testPerCPU)},
	}
	if k.flat {
		sections = sections[:len(sections)-1]
		return appendRelocs(elfOf(sections), relocs[reloc64], relocs[reloc32])
	}
	return appendRelocs(elfOf(sections), relocs[:]...)
}

func selfRelative(addrs []uint32, at uint32, stride int) []byte {
	b := make([]byte, len(addrs)*stride)
	for i, a := range addrs {
		le.PutUint32(b[i*stride:], a-at-uint32(i*stride))
	}
	return b
}

// kallsyms appends the table of symbols to read-only data. It gives where the base of addresses is.
func (k testKernel) kallsyms(b []byte, symbols []testSymbol) (_ []byte, base int) {
	align := func() { b = append(b, make([]byte, -len(b)&7)...) }
	t := &nameText{}
	for i, p := range map[int][2]byte{255: {'f', 'u'}, 254: {'n', 'c'}, 253: {255, 254}, 252: {253, '_'}} {
		t.pairs[i], t.merge[i] = p, true
	}
	for _, s := range symbols {
		t.text = append(append(t.text, s.name...), 0)
	}
	names := t.compress()
	offsets := func() {
		align()
		for _, s := range symbols {
			v := s.addr
			if k.flat {
				v -= testText
			} else if v >= testText {
				v = testText - 1 - v
			}
			b = le.AppendUint32(b, v)
		}
		align()
		base = len(b)
		b = le.AppendUint64(b, 0xffffffff_00000000|testText)
	}
	order := func() {
		for _, i := range byName(symbols) {
			b = append(b, byte(i>>16), byte(i>>8), byte(i))
		}
	}
	if !k.late {
		offsets()
	}
	align()
	b = le.AppendUint64(b, uint64(len(symbols)))
	var markers []uint32
	begin := len(b)
	for i := range symbols {
		if i%kallsymsStep == 0 {
			markers = append(markers, uint32(len(b)-begin))
		}
		b = append(append(b, byte(len(names.name(i)))), names.name(i)...)
	}
	align()
	for _, m := range markers {
		b = le.AppendUint32(b, m)
	}
	align()
	if !k.late {
		order()
		align()
	}
	tokens := map[int]string{255: "fu", 254: "nc", 253: "func", 252: "func_"}
	var index []byte
	begin = len(b)
	for i := range kallsymsTokens {
		index = le.AppendUint16(index, uint16(len(b)-begin))
		if s := tokens[i]; s != "" {
			b = append(b, s...)
		} else if i >= '0' && i <= 'z' {
			b = append(b, byte(i))
		}
		b = append(b, 0)
	}
	align()
	b = append(b, index...)
	if k.late {
		offsets()
		order()
	}
	return append(b, make([]byte, 16)...), base
}

func byName(symbols []testSymbol) []int {
	order := make([]int, len(symbols))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		return bytes.Compare([]byte(symbols[x].name[1:]), []byte(symbols[y].name[1:]))
	})
	return order
}

// types makes BTF: structures, pointers to them, pointers to these, and functions. With moved, the
// functions come first.
func (k testKernel) types() []byte {
	const n = 50
	strings := []byte{0}
	name := func(s string) uint32 {
		strings = append(append(strings, s...), 0)
		return uint32(len(strings) - len(s) - 1)
	}
	var types []byte
	put := func(words ...uint32) {
		for _, w := range words {
			types = le.AppendUint32(types, w)
		}
	}
	first := [2]uint32{1, 1 + 3*n} // numbers: of data, of functions
	if k.moved {
		first = [2]uint32{1 + 2*n, 1}
	}
	parts := []func(){
		func() {
			for i := range uint32(n) {
				put(name(fmt.Sprintf("struct_%d", i)), btfStruct<<24|1, 8, name("member"), first[0]+3*i+2, 0)
				put(0, btfPtr<<24, first[0]+3*i)
				put(0, btfPtr<<24, first[0]+3*i+1)
			}
		},
		func() {
			for i := range uint32(n) {
				put(name(fmt.Sprintf("func_%d", i)), btfFunc<<24, first[1]+2*i+1)
				put(0, btfFuncProto<<24|1, first[0]+3*i+1, name("argument"), first[0]+3*(n-1-i)+2)
			}
		},
	}
	if k.moved {
		slices.Reverse(parts)
	}
	for _, p := range parts {
		p()
	}
	b := append(le.AppendUint16(nil, btfMagic), 1, 0)
	for _, v := range []uint32{btfHeaderSize, 0, uint32(len(types)), uint32(len(types)), uint32(len(strings))} {
		b = le.AppendUint32(b, v)
	}
	return append(append(b, types...), strings...)
}

// elfOf makes a program with sections.
func elfOf(sections []testSection) []byte {
	b := make([]byte, elfHeaderSize)
	names := "\x00.shstrtab\x00"
	at := make([]uint32, len(sections))
	var offs []int
	for i, s := range sections {
		at[i] = uint32(len(names))
		names += s.name + "\x00"
		offs = append(offs, len(b))
		b = append(b, s.b...)
		b = append(b, make([]byte, -len(b)&7)...)
	}
	strs := len(b)
	b = append(b, names...)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], elfTypeExec)
	le.PutUint16(b[18:], elfMachineX86)
	le.PutUint64(b[40:], uint64(len(b)))
	le.PutUint16(b[58:], elfSectionSize)
	le.PutUint16(b[60:], uint16(len(sections)+2))
	le.PutUint16(b[62:], uint16(len(sections)+1))
	header := func(name uint32, kind uint32, flags, addr uint64, off, size int) {
		h := make([]byte, elfSectionSize)
		le.PutUint32(h, name)
		le.PutUint32(h[4:], kind)
		le.PutUint64(h[8:], flags)
		le.PutUint64(h[16:], addr)
		le.PutUint64(h[24:], uint64(off))
		le.PutUint64(h[32:], uint64(size))
		b = append(b, h...)
	}
	header(0, 0, 0, 0, 0, 0)
	for i, s := range sections {
		header(at[i], 1, s.flags, s.addr, offs[i], len(s.b))
	}
	header(1, 3, 0, 0, strs, len(names))
	return b
}

func appendRelocs(b []byte, relocs ...[]uint32) []byte {
	b = append(b, make([]byte, -len(b)&3)...)
	for _, l := range relocs {
		b = le.AppendUint32(b, 0)
		slices.Sort(l)
		for _, v := range l {
			b = le.AppendUint32(b, v)
		}
	}
	return b
}

// TestKernelExact demands that kernels of both layouts come back.
func TestKernelExact(t *testing.T) {
	for _, k := range []testKernel{{}, {late: true}, {moved: true}, {late: true, moved: true}, {late: true, flat: true}} {
		plain := k.file()
		if ids := For("vmlinux", plain); len(ids) == 0 || ids[0] != idKernel {
			t.Errorf("%+v: %v", k, ids)
		}
		if _, ok := Exact(kernel{}, plain); !ok {
			t.Errorf("%+v: does not come back", k)
		}
	}
}

// TestKallsymsOverlap puts markers upon the names of a table, which damages them: the table is
// refused, wherever that is found out.
func TestKallsymsOverlap(t *testing.T) {
	out, ok := kernel{}.Forward(testKernel{late: true}.file())
	if !ok {
		t.Fatal("Forward does not apply")
	}
	refused := 0
	for n := range uint32(256) {
		end, plain, ok := cutKernelEnd(slices.Clone(out))
		if !ok {
			t.Fatal("no end")
		}
		k := &end.kallsyms
		k.markers = k.names + n
		if !k.within(len(plain)) {
			break
		}
		k.ordered = true
		if !k.restore(plain, end.names) {
			refused++
		}
	}
	if refused == 0 {
		t.Error("no table is refused")
	}
}

// TestKernelIgnoresLayout demands that a kernel in which functions, strings and types moved differs
// from the first in few bytes.
func TestKernelIgnoresLayout(t *testing.T) {
	for _, k := range []testKernel{{}, {late: true}, {late: true, flat: true}} {
		a, _ := kernel{}.Forward(k.file())
		k.moved = true
		b, _ := kernel{}.Forward(k.file())
		for _, name := range []string{".orc_unwind_ip", "__ex_table", ".rodata"} {
			x, y := sectionOf(t, a, name), sectionOf(t, b, name)
			n := lines(x, y)
			t.Logf("%+v: %s: %d of %d words are new", k, name, n, len(y)/4)
			if n > len(y)/4/8 {
				t.Errorf("%+v: %s: %d of %d words are new", k, name, n, len(y)/4)
			}
		}
		// The types are the same, in another order.
		x, y := sectionOf(t, a, ".BTF"), sectionOf(t, b, ".BTF")
		if n := lines(x, y); n > 0 {
			t.Errorf("%+v: .BTF: %d words are new", k, n)
		}
	}
}

func sectionOf(t *testing.T, b []byte, name string) []byte {
	t.Helper()
	f, ok := parseELF(b)
	if !ok || f.section(name) == nil {
		t.Fatalf("no section %s", name)
	}
	return f.section(name).of(b)
}

// lines counts the words of b that occur less often in a.
func lines(a, b []byte) (n int) {
	count := map[uint32]int{}
	for ; len(a) >= 4; a = a[4:] {
		count[le.Uint32(a)]++
	}
	for ; len(b) >= 4; b = b[4:] {
		if v := le.Uint32(b); count[v] > 0 {
			count[v]--
		} else {
			n++
		}
	}
	return n
}

var update = flag.Bool("update", false, "write the kernels for the tests of delta/patchset anew")

// TestKernelSamples demands that the two kernels of more than 16 MiB with which delta/patchset tests
// are those that testKernel makes.
func TestKernelSamples(t *testing.T) {
	for name, k := range map[string]testKernel{
		"kernel-1.zst": {late: true, zeros: 17 << 20},
		"kernel-2.zst": {late: true, zeros: 17 << 20, moved: true},
	} {
		path := filepath.Join("..", "patchset", "testdata", name)
		if *update {
			e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, e.EncodeAll(k.file(), nil), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		stored, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d, err := zstd.NewReader(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.DecodeAll(stored, nil); err != nil || !bytes.Equal(got, k.file()) {
			t.Errorf("%s: another kernel, %v", name, err)
		}
	}
}

// TestKernelFiles tries the decompressed kernels in the folder that DELTAUP_KERNELS names.
func TestKernelFiles(t *testing.T) {
	dir := os.Getenv("DELTAUP_KERNELS")
	if dir == "" {
		t.Skip("DELTAUP_KERNELS names no folder of decompressed kernels")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	for _, p := range paths {
		plain, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := Exact(kernel{}, plain); !ok {
			t.Errorf("%s does not come back", p)
		}
	}
}
