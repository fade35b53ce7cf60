package transform

import (
	"bytes"
	"debug/elf"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"deltaup/internal/test/oracle"
)

// TestInstructionsAgainstObjdump compares the length decoder with objdump on a real program.
func TestInstructionsAgainstObjdump(t *testing.T) {
	const program = "/bin/ls"
	oracle.Need(t, "objdump")
	f, err := elf.Open(program)
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	if f.Machine != elf.EM_X86_64 {
		t.Skip("no x86-64 program")
	}
	text := f.Section(".text")
	code, err := text.Data()
	if err != nil {
		t.Fatal(err)
	}
	listing, err := exec.Command("objdump", "-d", "-j", ".text", "--no-show-raw-insn", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	theirs := map[int]bool{}
	for _, m := range regexp.MustCompile(`(?m)^ +([0-9a-f]+):\t`).FindAllSubmatch(listing, -1) {
		at, err := strconv.ParseUint(string(m[1]), 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		theirs[int(at-text.Addr)] = true
	}
	ours, wrong := 0, 0
	for at := 0; at < len(code); ours++ {
		if !theirs[at] {
			if wrong++; wrong < 5 {
				t.Logf("no instruction at %#x: % x", uint64(at)+text.Addr, code[max(0, at-8):at+8])
			}
		}
		at += max(1, x86Instruction(code[at:]).length)
	}
	if ours < 1000 || wrong*1000 > ours || len(theirs)-ours > ours/1000 {
		t.Errorf("%d instructions, of which %d are none; objdump has %d", ours, wrong, len(theirs))
	}
}

// layout is where functions, data and slots lie in memory in one version of a program.
type layout struct {
	text, data, got uint64
	starts          []uint64
}

func (l *layout) coder() *addressCoder {
	return newAddressCoder(l.starts, []region{{from: l.text, to: l.text + 0x10000}, {from: l.data, to: l.data + 0x8000}, {from: l.got, to: l.got + 0x100, slots: true}})
}

// twoLayouts are two versions between which everything has moved.
func twoLayouts() [2]*layout {
	return [2]*layout{
		{text: 0x1000, data: 0x20000, got: 0x30000, starts: []uint64{0x1000, 0x1400, 0x1800}},
		{text: 0x2000, data: 0x24000, got: 0x31010, starts: []uint64{0x2000, 0x2480, 0x2980}},
	}
}

// TestX86IgnoresLayout demands that code that does the same in both layouts becomes the same.
func TestX86IgnoresLayout(t *testing.T) {
	var out [2][]byte
	for i, l := range twoLayouts() {
		var code []byte
		put := func(target uint64, op ...byte) {
			code = append(code, op...)
			code = le.AppendUint32(code, uint32(target-(l.starts[1]+uint64(len(code))+4)))
		}
		put(l.starts[0], 0xe8)              // call
		put(l.starts[2], 0x0f, 0x84)        // je
		put(l.data+0x123, 0x48, 0x8d, 0x3d) // lea rdi
		put(l.got+0x18, 0xff, 0x15)         // call through a slot
		put(l.data+0x140, 0x48, 0x8d, 0x35)
		put(l.data+0x123, 0x48, 0x8b, 0x05) // once more
		out[i] = bytes.Clone(code)
		c := l.coder()
		c.forward(out[i], l.starts[1], false)
		if len(c.listed) != 2 {
			t.Errorf("%d addresses are listed, want 2", len(c.listed))
		}
		listed := c.listed
		c = l.coder()
		c.listed = listed
		back := bytes.Clone(out[i])
		if !c.inverse(back, l.starts[1], false) || !bytes.Equal(back, code) {
			t.Error("other code comes back")
		}
	}
	if !bytes.Equal(out[0], out[1]) {
		t.Errorf("different words:\n% x\n% x", out[0], out[1])
	}
}

// TestARMIgnoresLayout demands the same of A64 code.
func TestARMIgnoresLayout(t *testing.T) {
	var out [2][]byte
	for i, l := range twoLayouts() {
		var code []byte
		pc := func() uint64 { return l.starts[1] + uint64(len(code)) }
		branch := func(op uint32, target uint64) {
			code = le.AppendUint32(code, op|uint32((target-pc())/4)&0x3ffffff)
		}
		address := func(target uint64, use uint32, shift uint) {
			page := uint32((target>>12 - pc()>>12) & 0x1fffff)
			code = le.AppendUint32(code, 0x90000000|page&3<<29|page>>2<<5|3)
			code = le.AppendUint32(code, 0xd503201f) // nop
			code = le.AppendUint32(code, use|uint32(target&0xfff>>shift)<<10|3<<5|3)
		}
		branch(0x94000000, l.starts[0])
		branch(0x14000000, l.starts[2])
		branch(0x94000000, l.got+0x20)
		address(l.data+0x123, 0x91000000, 0)
		address(l.got+0x18, 0xf9400000, 3)
		address(l.data+0x123, 0x91000000, 0)
		out[i] = bytes.Clone(code)
		c := l.coder()
		if !c.armCode(out[i], l.starts[1], false) || len(c.listed) != 1 {
			t.Errorf("%d addresses are listed, want 1", len(c.listed))
		}
		listed := c.listed
		c = l.coder()
		c.listed = listed
		back := bytes.Clone(out[i])
		if !c.armCode(back, l.starts[1], true) || !bytes.Equal(back, code) {
			t.Error("other code comes back")
		}
	}
	if !bytes.Equal(out[0], out[1]) {
		t.Errorf("different words:\n% x\n% x", out[0], out[1])
	}
}

// TestAnyCode demands that both coders give back any bytes, however little they look like code.
func TestAnyCode(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	l := twoLayouts()[0]
	opcodes := []byte{0xe8, 0xe9, 0x0f, 0x84, 0x48, 0x8d, 0x05, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xff, 0x00, 0x90, 0x94, 0x14, 0x91, 0xf9}
	for range 20_000 {
		code := make([]byte, 4*(1+rnd.IntN(100)))
		for i := range code {
			if code[i] = byte(rnd.Uint32()); rnd.IntN(2) == 0 {
				code[i] = opcodes[rnd.IntN(len(opcodes))]
			}
		}
		absolute := rnd.IntN(2) == 0
		for _, arm := range []bool{false, true} {
			out := bytes.Clone(code)
			c := l.coder()
			if arm {
				c.armCode(out, l.text, false)
			} else {
				c.forward(out, l.text, absolute)
			}
			listed := c.listed
			c = l.coder()
			c.listed = listed
			ok := false
			if arm {
				ok = c.armCode(out, l.text, true)
			} else {
				ok = c.inverse(out, l.text, absolute)
			}
			if !ok || !bytes.Equal(out, code) || len(c.listed) > 0 {
				t.Fatalf("arm %v, absolute %v, %v, %d listed left of %x:\n% x became\n% x", arm, absolute, ok, len(c.listed), listed, code, out)
			}
		}
	}
}

// TestTokensCollide demands that tokens are distinct and quickly found when all hashes are equal.
func TestTokensCollide(t *testing.T) {
	const n = 200_000
	tok := newTokens(0)
	for i := range n {
		tok.add(uint32(5+i%3), 1<<20-1)
	}
	if len(tok.index) != n || len(tok.of) != n {
		t.Fatalf("%d tokens of %d things", len(tok.index), n)
	}
	for i, v := range tok.of {
		if v == 0 || tok.index[v] != uint32(i) {
			t.Fatalf("token %d of thing %d leads to %d", v, i, tok.index[v])
		}
	}
}

// TestRecent demands that use gives how many other values were used since.
func TestRecent(t *testing.T) {
	var r recent
	for i, step := range []struct {
		v    uint32
		want int
	}{{7, -1}, {8, -1}, {7, 1}, {7, 0}, {9, -1}, {8, 2}} {
		if got := r.use(step.v); got != step.want {
			t.Errorf("step %d: %d, want %d", i, got, step.want)
		}
	}
	for i := range uint32(2 * recentMax) {
		r.use(100 + i)
	}
	if len(r) != recentMax || r.use(7) != -1 {
		t.Errorf("%d values are kept", len(r))
	}
}

// TestX86Common: the quick way through common instructions finds what x86Instruction finds, in
// programs and in bytes of any kind.
func TestX86Common(t *testing.T) {
	type ref struct{ kind, field, next int }
	check := func(name string, code []byte) (common int) {
		var got, want []ref
		x86Refs(code, func(kind, field, next int) { got = append(got, ref{kind, field, next}) })
		for at := 0; at < len(code); {
			in := x86Instruction(code[at:])
			next := at + in.length
			if in.displacement > 0 {
				want = append(want, ref{in.displacementKind, at + in.displacement, next})
			}
			if in.immediate > 0 {
				want = append(want, ref{in.immediateKind, at + in.immediate, next})
			}
			at = next
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d references, want %d", name, len(got), len(want))
		}
		return x86Common(code, 0, func(int, int, int) {})
	}
	for _, name := range []string{"library.so", "pie", "fixed", "module.o"} {
		check(name, sample(t, name))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	longest := 0
	for range 3000 {
		code := make([]byte, rng.IntN(200))
		for i := range code {
			code[i] = byte(rng.Uint32())
			if rng.IntN(4) == 0 { // prefixes and opcodes that lead to others
				code[i] = []byte{0x48, 0x41, 0x0f, 0x66, 0x8b, 0x38, 0x3a, 0xe8, 0xc7, 0x05, 0x84}[rng.IntN(11)]
			}
		}
		longest = max(longest, check("random bytes", code))
	}
	if longest < 20 {
		t.Errorf("the quick way was taken for %d bytes at most", longest)
	}
}
