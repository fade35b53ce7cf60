package transform

// This file is a length decoder for x86-64 code (Intel SDM volume 2, appendix A). It only finds
// where an instruction ends and which four bytes of it hold an address. What it finds does not
// depend on these four bytes, so that it finds the same after they are rewritten.

// Kinds of opcodes: what follows the opcode.
const (
	opNone     = iota
	opModRM    // ModRM, with the addressing form that it begins
	opImm8     // a byte
	opImmZ     // four bytes; two with an operand size prefix
	opImm16    // two bytes
	opModImm8  // ModRM and a byte
	opModImmZ  // ModRM and opImmZ
	opRel32    // a branch over four bytes
	opMove     // B8 to BF: four bytes, eight with REX.W
	opOffset   // A0 to A3: an address of eight bytes
	opEnter    // three bytes
	opGroup3   // F6, F7: ModRM, and for a test an immediate
	opPrefix   //
	opInvalid  //
	opTwoBytes // 0F
	opVEX      // C4, C5
	opEVEX     // 62
)

// opcodes are the kinds of the one-byte opcodes, sixteen to a row.
var opcodes = expand("" +
	"mmmm1zxxmmmm1zxT" + "mmmm1zxxmmmm1zxx" + "mmmm1zPxmmmm1zPx" + "mmmm1zPxmmmm1zPx" +
	"PPPPPPPPPPPPPPPP" + "................" + "xxEmPPPPzZ1I...." + "1111111111111111" +
	"IZxImmmmmmmmmmmm" + "..........x....." + "OOOO....1z......" + "11111111MMMMMMMM" +
	"II2.VVIZe.2..1x." + "mmmmxxx.mmmmmmmm" + "11111111rrx1...." + "P.PP..33......mm")

// opcodes0F are the kinds of the opcodes behind a byte 0F; 38 and 3A lead to further maps.
var opcodes0F = expand("" +
	"mmmmx.....x.xm.I" + "mmmmmmmmmmmmmmmm" + "mmmmxxxxmmmmmmmm" + "........xxxxxxxx" +
	"mmmmmmmmmmmmmmmm" + "mmmmmmmmmmmmmmmm" + "mmmmmmmmmmmmmmmm" + "IIIImmm.mmmmmmmm" +
	"rrrrrrrrrrrrrrrr" + "mmmmmmmmmmmmmmmm" + "...mImxx...mImmm" + "mmmmmmmmmmImmmmm" +
	"mmImIIIm........" + "mmmmmmmmmmmmmmmm" + "mmmmmmmmmmmmmmmm" + "mmmmmmmmmmmmmmmm")

func expand(rows string) (t [256]uint8) {
	kinds := map[byte]uint8{
		'.': opNone, 'm': opModRM, '1': opImm8, 'z': opImmZ, '2': opImm16, 'I': opModImm8, 'Z': opModImmZ, 'r': opRel32,
		'M': opMove, 'O': opOffset, 'e': opEnter, '3': opGroup3, 'P': opPrefix, 'x': opInvalid, 'T': opTwoBytes, 'V': opVEX, 'E': opEVEX,
	}
	for i := range t {
		t[i] = kinds[rows[i]]
	}
	return t
}

// What the four bytes of an address are.
const (
	refBranch   = iota // a branch's distance from the next instruction
	refRelative        // the distance of data from the next instruction
	refAbsolute        // a displacement or immediate that may be an address
)

// x86Refs calls visit for each address in code, in order. Its four bytes begin at field, and the
// instruction ends at next. visit may change the four bytes.
func x86Refs(code []byte, visit func(kind, field, next int)) {
	for at := 0; at < len(code); {
		if at += x86Common(code[at:], at, visit); at == len(code) {
			return
		}
		in := x86Instruction(code[at:])
		next := at + in.length
		if in.displacement > 0 {
			visit(in.displacementKind, at+in.displacement, next)
		}
		if in.immediate > 0 {
			visit(in.immediateKind, at+in.immediate, next)
		}
		at = next
	}
}

// x86CommonMax is more bytes than an instruction has that x86Common reads.
const x86CommonMax = 16

// x86Common does what x86Refs does for the most common instructions at the beginning of code, which
// is at offset base, up to the first that is another one or may be cut off. It gives their length.
func x86Common(code []byte, base int, visit func(kind, field, next int)) (at int) {
	for at+x86CommonMax <= len(code) {
		b := (*[x86CommonMax]byte)(code[at:])
		n, kind := 0, opcodes[b[0]]
		if b[0]&0xf0 == 0x40 { // REX
			n, kind = 1, opcodes[b[1]]
		}
		if kind == opTwoBytes && b[n+1]&^2 != 0x38 {
			n++
			kind = opcodes0F[b[n]]
		}
		n++
		displacement, address, immediate := 0, refAbsolute, 0
		switch kind {
		case opNone:
			at += n
			continue
		case opImm8:
			at += n + 1
			continue
		case opImmZ, opRel32:
			immediate = 4
		case opModRM, opModImm8, opModImmZ:
			mod, rm := b[n]>>6, b[n]&7
			n++
			far := mod == 2
			switch {
			case mod == 3:
				mod = 0
			case mod == 0 && rm == 5:
				far, address = true, refRelative
			case rm == 4:
				far = far || mod == 0 && b[n]&7 == 5
				n++
			}
			if far {
				displacement = n
				n += 4
			} else {
				n += int(mod)
			}
			switch kind {
			case opModImm8:
				n++
			case opModImmZ:
				immediate = 4
			}
		default:
			return at
		}
		next := at + n + immediate
		if displacement > 0 {
			visit(address, base+at+displacement, base+next)
		}
		if immediate > 0 {
			reference := refAbsolute
			if kind == opRel32 {
				reference = refBranch
			}
			visit(reference, base+at+n, base+next)
		}
		at = next
	}
	return at
}

// instruction is what x86Instruction finds. A position is 0 when the instruction has no such field
// of four bytes.
type instruction struct {
	length                         int
	displacement, displacementKind int
	immediate, immediateKind       int
}

// x86Instruction reads the instruction at the beginning of b. Of bytes that are no instruction it
// skips those that it looked at: otherwise a rewriting of the bytes behind could change how these
// read.
func x86Instruction(b []byte) (in instruction) {
	at, short, wide := 0, false, false
	var kind uint8
	var op byte
	for kind = opPrefix; kind == opPrefix; at++ {
		if at >= len(b) || at > 14 {
			return instruction{length: at}
		}
		op = b[at]
		kind = opcodes[op]
		short = short || op == 0x66
		wide = op&0xf8 == 0x48 // REX.W counts only directly before the opcode
		if kind != opPrefix && at > 0 {
			wide = b[at-1]&0xf8 == 0x48
		}
	}
	switch kind {
	case opTwoBytes:
		kind, at = x86Map(b, at, 1, false)
	case opVEX:
		m := 1
		if op == 0xc4 && at < len(b) {
			m = int(b[at] & 31)
			at++
		}
		kind, at = x86Map(b, at+1, m, true)
	case opEVEX:
		if at < len(b) {
			kind, at = x86Map(b, at+3, int(b[at]&7), true)
		}
	}
	immediate := 0
	full := 4
	if short {
		full = 2
	}
	switch kind {
	case opInvalid, opEVEX:
		return instruction{length: min(at, len(b))}
	case opImm8, opModImm8:
		immediate = 1
	case opImm16:
		immediate = 2
	case opEnter:
		immediate = 3
	case opImmZ, opModImmZ:
		immediate = full
	case opMove:
		immediate = full
		if wide {
			immediate = 8
		}
	case opOffset:
		immediate = 8
	case opRel32:
		immediate = 4
	}
	switch kind {
	case opModRM, opModImm8, opModImmZ, opGroup3:
		if at >= len(b) {
			return instruction{length: len(b)}
		}
		modrm := b[at]
		if kind == opGroup3 && modrm&0x30 == 0 {
			immediate = 1
			if op == 0xf7 {
				immediate = full
			}
		}
		at++
		at = in.modRM(b, at, modrm)
	}
	if immediate == 4 {
		in.immediate, in.immediateKind = at, refAbsolute
		if kind == opRel32 {
			in.immediateKind = refBranch
		}
	}
	in.length = at + immediate
	if in.length > len(b) {
		return instruction{length: len(b)}
	}
	return in
}

// modRM notes the displacement of the addressing form of modrm, whose other bytes begin at at, and
// gives where the form ends.
func (in *instruction) modRM(b []byte, at int, modrm byte) int {
	mod, rm := modrm>>6, modrm&7
	if mod == 3 {
		return at
	}
	far := mod == 2
	if mod == 0 && rm == 5 {
		in.displacement, in.displacementKind = at, refRelative
		return at + 4
	}
	if rm == 4 {
		if at < len(b) && mod == 0 && b[at]&7 == 5 {
			far = true
		}
		at++
	}
	if far {
		in.displacement, in.displacementKind = at, refAbsolute
		return at + 4
	}
	return at + int(mod)
}

// x86Map reads an opcode of map m behind 0F. It gives the opcode's kind and the place behind it.
func x86Map(b []byte, at, m int, vector bool) (uint8, int) {
	if at >= len(b) {
		return opInvalid, len(b)
	}
	op := b[at]
	switch {
	case m == 1 && op == 0x38 && !vector:
		return opModRM, at + 2
	case m == 1 && op == 0x3a && !vector:
		return opModImm8, at + 2
	case m == 1 && vector:
		kind := opcodes0F[op]
		if kind == opRel32 {
			kind = opInvalid
		}
		return kind, at + 1
	case m == 1:
		return opcodes0F[op], at + 1
	case m == 2, m == 5, m == 6:
		return opModRM, at + 1
	case m == 3:
		return opModImm8, at + 1
	}
	return opInvalid, at + 1
}
