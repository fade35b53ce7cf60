// Package programtest makes programs, for tests.
package programtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

var le = binary.LittleEndian

const (
	stringSize = 32       // bytes of a string
	headerSize = 4096     // bytes before the code
	zeros      = 17 << 20 // bytes of strings and zeros behind them
)

// Make makes a shared library for x86-64. Its functions call each other, and refer to strings and
// variables. Those whose numbers are multiples of every have more instructions, so that programs
// with another every have all functions and strings elsewhere.
func Make(functions, every int) []byte { return build(functions, every, functions*stringSize) }

// Large is Make with more than 17 MiB, mostly zeros.
func Large(functions, every int) []byte { return build(functions, every, zeros) }

func build(functions, every, strings int) []byte {
	p := program{rand: rand.New(rand.NewPCG(1, 2)), functions: functions}
	p.code(every)
	p.strings(strings)
	p.unwind()
	p.data()
	for _, r := range p.refs {
		target := r.section.at + r.offset
		if r.function >= 0 {
			target = p.text.at + p.starts[r.function]
		}
		le.PutUint32(p.text.b[r.at:], uint32(target-p.text.at-r.at-4))
	}
	return p.file()
}

type section struct {
	name        string
	kind, flags uint32
	at, size    int // in the file and in memory
	b           []byte
}

// ref is an address in code.
type ref struct {
	at       int
	function int // that it calls, or -1
	section  *section
	offset   int // in section
}

type program struct {
	rand      *rand.Rand
	functions int
	starts    []int // of functions in text
	refs      []ref

	text, rodata, frame, table, writable, bss section
}

func (p *program) code(every int) {
	b := []byte{}
	refer := func(function int, s *section, size int, instruction ...byte) {
		b = append(b, instruction...)
		p.refs = append(p.refs, ref{len(b), function, s, size * p.rand.IntN(p.functions)})
		b = append(b, 0, 0, 0, 0)
	}
	for i := range p.functions {
		for len(b)%16 != 0 {
			b = append(b, 0xcc)
		}
		p.starts = append(p.starts, len(b))
		if i%every == 0 {
			b = append(b, bytes.Repeat([]byte{0x48, 0x31, 0xc0}, 1+every%50)...) // xor rax, rax
		}
		for range 3 + p.rand.IntN(9) {
			b = le.AppendUint32(append(b, 0xb8), p.rand.Uint32()) // mov eax, number
			refer(p.rand.IntN(p.functions), &p.text, 0, 0xe8)     // call
			refer(-1, &p.rodata, stringSize, 0x48, 0x8d, 0x3d)    // lea rdi, string
			refer(-1, &p.bss, 8, 0x48, 0x8b, 0x05)                // mov rax, variable
		}
		b = append(b, 0xc3)
	}
	p.text = section{".text", 1, 6, headerSize, len(b), b}
}

func (p *program) strings(size int) {
	b := make([]byte, size)
	for i := range p.functions {
		copy(b[i*stringSize:], fmt.Sprintf("string %d", i))
	}
	p.rodata = section{".rodata", 1, 2, p.text.end(), len(b), b}
}

// unwind makes .eh_frame and .eh_frame_hdr.
func (p *program) unwind() {
	const entry = 24
	common := []byte{20, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 12, 7, 8, 0x90, 1, 0, 0}
	frameAt := p.rodata.end()
	tableAt := frameAt + len(common) + entry*p.functions
	frame := common
	table := le.AppendUint32([]byte{1, 0x1b, 3, 0x3b, 0, 0, 0, 0}, uint32(p.functions))
	for _, s := range p.starts {
		at := len(frame)
		frame = le.AppendUint32(frame, entry-4)
		frame = le.AppendUint32(frame, uint32(at+4))
		frame = le.AppendUint32(frame, uint32(p.text.at+s-frameAt-at-8))
		frame = append(frame, 16, 0, 0, 0, 0, 0x41, 0x0e, 0x10, 0, 0, 0, 0)
		table = le.AppendUint32(table, uint32(p.text.at+s-tableAt))
		table = le.AppendUint32(table, uint32(frameAt+at-tableAt))
	}
	p.frame = section{".eh_frame", 1, 2, frameAt, len(frame), frame}
	p.table = section{".eh_frame_hdr", 1, 2, tableAt, len(table), table}
}

// data makes pointers to functions, and variables behind them.
func (p *program) data() {
	var b []byte
	for range p.functions {
		b = le.AppendUint64(b, uint64(p.text.at+p.starts[p.rand.IntN(p.functions)]))
	}
	p.writable = section{".data", 1, 3, p.table.end(), len(b), b}
	p.bss = section{".bss", 8, 3, p.writable.end(), 8 * p.functions, nil}
}

func (p *program) file() []byte {
	sections := []*section{{}, &p.text, &p.rodata, &p.frame, &p.table, &p.writable, &p.bss}
	var out []byte
	names := "\x00"
	for _, s := range sections[1:] {
		out = append(append(out, make([]byte, max(0, s.at-len(out)))...), s.b...)
		names += s.name + "\x00"
	}
	const own = ".shstrtab"
	names += own + "\x00"
	sections = append(sections, &section{own, 3, 0, len(out), len(names), nil})
	out = append(out, names...)
	copy(out, "\x7fELF\x02\x01\x01")
	le.PutUint16(out[16:], 3)  // a shared library
	le.PutUint16(out[18:], 62) // x86-64
	le.PutUint64(out[40:], uint64(len(out)))
	le.PutUint16(out[58:], 64)
	le.PutUint16(out[60:], uint16(len(sections)))
	le.PutUint16(out[62:], uint16(len(sections)-1))
	for _, s := range sections {
		b := make([]byte, 64)
		le.PutUint32(b, uint32(bytes.Index([]byte(names), []byte(s.name+"\x00"))))
		le.PutUint32(b[4:], s.kind)
		le.PutUint64(b[8:], uint64(s.flags))
		if s.flags != 0 {
			le.PutUint64(b[16:], uint64(s.at))
		}
		le.PutUint64(b[24:], uint64(s.at))
		le.PutUint64(b[32:], uint64(s.size))
		out = append(out, b...)
	}
	return out
}

// end is where the next section may begin.
func (s *section) end() int { return (s.at + s.size + 15) &^ 15 }
