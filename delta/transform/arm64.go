package transform

// Fields of A64 instructions that hold addresses (Arm ARM, C4.1). A branch counts instructions in
// 26 bits. ADRP counts pages of 4 KiB in 21 bits, and the instruction that uses its register adds
// 12 bits.
//
// No file is large enough for a branch or page number whose highest bits are 10. These two bits
// mark a field that was replaced. After them comes a word of addressCoder without the bits that the
// field does not need.
const (
	branchBits = 26
	pageBits   = 21
	pageSize   = 1 << 12

	// armReach is how many instructions after an ADRP may use its register.
	armReach = 16
)

// Kinds of replaced branches: the two bits behind the mark.
const (
	branchFunction = 0 // or 1: 23 bits, as wordFunction
	branchRaw      = 2 // the original number is next in the list
	branchSlot     = 3 // 4 bits: region; 18 bits: distance in instructions
)

// armCode rewrites the addresses in A64 code that is loaded at base, or with inverse undoes that.
func (c *addressCoder) armCode(code []byte, base uint64, inverse bool) bool {
	for at := 0; at+4 <= len(code); at += 4 {
		in := le.Uint32(code[at:])
		ok := true
		switch {
		case in&0x7c000000 == 0x14000000: // B, BL
			var imm uint32
			if inverse {
				imm, ok = c.armTarget(in&(1<<branchBits-1), base+uint64(at))
			} else {
				imm = c.armBranch(in&(1<<branchBits-1), base+uint64(at))
			}
			le.PutUint32(code[at:], in&^(1<<branchBits-1)|imm)
		case in&0x9f000000 == 0x90000000: // ADRP
			if inverse {
				ok = c.armUnpage(code, at, base)
			} else {
				c.armPage(code, at, base)
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

// marked tells whether the highest two of n bits are 10.
func marked(v uint32, n int) bool { return v>>(n-2) == 2 }

// signed extends the sign of an n-bit number.
func signed(v uint32, n int) uint64 { return uint64(int64(int32(v<<(32-n))) >> (32 - n)) }

func (c *addressCoder) armBranch(imm uint32, pc uint64) uint32 {
	const mark = 2 << (branchBits - 2)
	own, _ := c.function(pc)
	target := pc + signed(imm, branchBits)*4
	if n, ok := c.function(target); ok {
		if d := n - own + 1<<22; d >= 0 && d < 1<<23 {
			return mark | uint32(d)
		}
	}
	if r := c.region(target); r >= 0 && c.regions[r].slots {
		if d := target - c.regions[r].from; d < 1<<20 && d&3 == 0 {
			return mark | branchSlot<<22 | uint32(r)<<18 | uint32(d)/4
		}
	}
	if marked(imm, branchBits) {
		c.listed = append(c.listed, imm)
		return mark | branchRaw<<22
	}
	return imm
}

func (c *addressCoder) armTarget(imm uint32, pc uint64) (uint32, bool) {
	if !marked(imm, branchBits) {
		return imm, true
	}
	var target uint64
	switch imm >> 22 & 3 {
	case branchSlot:
		r := int(imm >> 18 & 15)
		if r >= len(c.regions) {
			return 0, false
		}
		target = c.regions[r].from + uint64(imm&(1<<18-1))*4
	case branchRaw:
		if len(c.listed) == 0 {
			return 0, false
		}
		imm, c.listed = c.listed[0], c.listed[1:]
		return imm & (1<<branchBits - 1), true
	default:
		own, _ := c.function(pc)
		n := int(imm&(1<<23-1)) - 1<<22 + own
		if n < 0 || n >= len(c.starts) {
			return 0, false
		}
		target = c.starts[n]
	}
	return uint32((target-pc)/4) & (1<<branchBits - 1), true
}

// armUse finds the instruction that completes the address of the ADRP at at. It gives its place, or
// 0 when there is none, and by how many bits its 12 bits are shifted.
func armUse(code []byte, at int) (use int, shift uint) {
	reg := le.Uint32(code[at:]) & 31
	for i := at + 4; i+4 <= len(code) && i <= at+4*armReach; i += 4 {
		in := le.Uint32(code[i:])
		switch {
		case in&0x9f00001f == 0x90000000|reg:
			return 0, 0
		case in>>5&31 != reg:
		case in&0xffc00000 == 0x91000000: // ADD, 64 bits
			return i, 0
		case in&0x3f000000 == 0x39000000: // load or store of 1 << shift bytes
			return i, uint(in >> 30)
		case in&0x3f000000 == 0x3d000000: // the same with a vector register
			if in>>23&1 == 1 && in>>30 == 0 {
				return i, 4
			}
			return i, uint(in >> 30)
		}
	}
	return 0, 0
}

func armPageNumber(in uint32) uint32 { return in>>3&0x1ffffc | in>>29&3 }

func armPutPage(p []byte, in, page uint32) {
	le.PutUint32(p, in&0x9f00001f|page&3<<29|page>>2<<5)
}

func (c *addressCoder) armPage(code []byte, at int, base uint64) {
	const mark = 2 << (pageBits - 2)
	in := le.Uint32(code[at:])
	page := armPageNumber(in)
	word := uint32(wordRaw) << 24
	if use, shift := armUse(code, at); use != 0 && !marked(page, pageBits) {
		in2 := le.Uint32(code[use:])
		rest := uint64(in2>>10&0xfff) << shift
		if rest >= pageSize {
			return // no linker makes this
		}
		pc := base + uint64(at)
		target := pc&^(pageSize-1) + signed(page, pageBits)*pageSize + rest
		own, _ := c.function(pc)
		if word = c.word(target, 0, own, true); word == 0 {
			return // neither a function nor data
		}
		le.PutUint32(code[use:], in2&^(0xfff<<10)|word&0xfff<<10)
	} else if marked(page, pageBits) {
		c.listed = append(c.listed, page)
	} else {
		return
	}
	armPutPage(code[at:], in, mark|(word-wordFunction<<24)>>12)
}

func (c *addressCoder) armUnpage(code []byte, at int, base uint64) bool {
	in := le.Uint32(code[at:])
	page := armPageNumber(in)
	if !marked(page, pageBits) {
		return true
	}
	word := page&(1<<(pageBits-2)-1)<<12 + wordFunction<<24
	if word>>24 == wordRaw {
		if len(c.listed) == 0 {
			return false
		}
		armPutPage(code[at:], in, c.listed[0]&(1<<pageBits-1))
		c.listed = c.listed[1:]
		return true
	}
	use, shift := armUse(code, at)
	if use == 0 {
		return false
	}
	in2 := le.Uint32(code[use:])
	pc := base + uint64(at)
	own, _ := c.function(pc)
	target, _, isRaw, ok := c.target(word|in2>>10&0xfff, own)
	if !ok || isRaw {
		return false
	}
	le.PutUint32(code[use:], in2&^(0xfff<<10)|uint32(target>>shift)&(0xfff>>shift)<<10)
	armPutPage(code[at:], in,
		uint32((target&^(pageSize-1)-pc&^(pageSize-1))/pageSize)&(1<<pageBits-1))
	return true
}
