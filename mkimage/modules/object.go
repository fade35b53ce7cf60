package modules

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// magics are the first bytes of packed modules, by the suffix of their codec. depmod goes by them.
var magics = map[string]string{".zst": "\x28\xb5\x2f\xfd", ".xz": "\xfd7zXZ\x00", ".gz": "\x1f\x8b"}

// content reads a module, unpacked.
func (d *depmod) content(m *kernelModule) (_ []byte, err error) {
	f, err := d.root.Open(m.entry)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	in := bufio.NewReaderSize(f, 64<<10)
	plain := io.Reader(in)
	if suffix := d.packed(in); suffix != "" {
		z, err := codecs[suffix](in)
		if err != nil {
			return nil, err
		}
		defer z.Close() // as above
		plain = z
	}
	b, err := io.ReadAll(io.LimitReader(plain, sizeMax+1))
	if len(b) > sizeMax {
		return nil, fmt.Errorf("it has more than %d MiB", sizeMax>>20)
	}
	return b, err
}

// packed gives the suffix of the codec of a module that kmod unpacks, or "".
func (d *depmod) packed(in *bufio.Reader) string {
	for suffix, magic := range magics {
		if start, _ := in.Peek(len(magic)); string(start) == magic && d.kmod.codecs[suffix] {
			return suffix
		}
	}
	return ""
}

// moduleInfo is what depmod reads of a module.
type moduleInfo struct {
	exports []string // symbols
	needs   []string // symbols, in the order of the module's tables
	// values in .modinfo
	aliases, softdeps, weakdeps []string
}

// size is about how much memory the texts take, in bytes.
func (i moduleInfo) size() int64 {
	const header = 16 // of a string
	n := int64(0)
	for _, all := range [][]string{i.exports, i.needs, i.aliases, i.softdeps, i.weakdeps} {
		for _, s := range all {
			n += header + int64(len(s))
		}
	}
	return n
}

// moduleFile is a module's ELF file.
type moduleFile struct {
	b        []byte
	order    binary.ByteOrder
	wide     bool // 64 bits
	machine  elf.Machine
	sections []moduleSection
	names    []byte
}

type moduleSection struct {
	name string
	data []byte
}

// parseModule reads a module. One that is broken has what can be read: depmod lists it, too.
func parseModule(b []byte) moduleInfo {
	var info moduleInfo
	f, ok := openModule(b)
	if !ok {
		return info
	}
	symbols, whole := f.symbols()
	if whole {
		info.needs = f.needs(symbols)
	}
	for _, s := range symbols {
		if crc, ok := strings.CutPrefix(s.name, "__crc_"); ok && whole && crc != "" {
			info.exports = append(info.exports, crc)
		}
	}
	if len(info.exports) == 0 {
		info.exports = texts(f.section("__ksymtab_strings"))
	}
	for _, text := range texts(f.section(".modinfo")) {
		key, value, _ := strings.Cut(text, "=")
		switch key {
		case "alias":
			info.aliases = append(info.aliases, value)
		case "softdep":
			info.softdeps = append(info.softdeps, value)
		case "weakdep":
			info.weakdeps = append(info.weakdeps, value)
		}
	}
	return info
}

// texts are the strings in a section, each with zeros behind it.
func texts(b []byte) []string {
	var all []string
	for _, text := range bytes.Split(b, []byte{0}) {
		if len(text) > 0 {
			all = append(all, string(text))
		}
	}
	return all
}

// openModule reads the headers.
func openModule(b []byte) (*moduleFile, bool) {
	if len(b) <= 64 || string(b[:4]) != elf.ELFMAG {
		return nil, false
	}
	f := &moduleFile{b: b}
	switch elf.Data(b[elf.EI_DATA]) {
	case elf.ELFDATA2LSB:
		f.order = binary.LittleEndian
	case elf.ELFDATA2MSB:
		f.order = binary.BigEndian
	default:
		return nil, false
	}
	f.machine = elf.Machine(f.order.Uint16(b[18:]))
	var off uint64
	var entry, count, names int
	switch elf.Class(b[elf.EI_CLASS]) {
	case elf.ELFCLASS64:
		f.wide = true
		off = f.order.Uint64(b[40:])
		entry, count, names = f.half(58), f.half(60), f.half(62)
	case elf.ELFCLASS32:
		off = uint64(f.order.Uint32(b[32:]))
		entry, count, names = f.half(46), f.half(48), f.half(50)
	default:
		return nil, false
	}
	size := 40
	if f.wide {
		size = 64
	}
	table, ok := f.piece(off, uint64(size)*uint64(count))
	if entry != size || !ok || names == 0 || names >= count {
		return nil, false
	}
	_, f.names, ok = f.header(table[names*size:])
	if !ok || len(f.names) == 0 || f.names[len(f.names)-1] != 0 {
		return nil, false
	}
	for i := 1; i < count; i++ {
		at, data, ok := f.header(table[i*size:])
		if ok && uint64(at) < uint64(len(f.names)) {
			f.sections = append(f.sections, moduleSection{text(f.names[at:]), data})
		} else {
			f.sections = append(f.sections, moduleSection{})
		}
	}
	return f, true
}

func (f *moduleFile) half(at int) int { return int(f.order.Uint16(f.b[at:])) }

// piece is a part of the file.
func (f *moduleFile) piece(off, size uint64) ([]byte, bool) {
	if off > uint64(len(f.b)) || size > uint64(len(f.b))-off {
		return nil, false
	}
	return f.b[off : off+size], true
}

// header reads the header of a section: where its name is, and its data.
func (f *moduleFile) header(h []byte) (name uint32, data []byte, ok bool) {
	name = f.order.Uint32(h)
	if f.wide {
		data, ok = f.piece(f.order.Uint64(h[24:]), f.order.Uint64(h[32:]))
	} else {
		data, ok = f.piece(uint64(f.order.Uint32(h[16:])), uint64(f.order.Uint32(h[20:])))
	}
	return name, data, ok
}

// section is the data of the first section with a name.
func (f *moduleFile) section(name string) []byte {
	for _, s := range f.sections {
		if s.name == name {
			return s.data
		}
	}
	return nil
}

// text is the string up to a zero.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

type moduleSymbol struct {
	name      string
	undefined bool
}

// symbols reads the symbol table; whole is false for one that depmod does not take.
func (f *moduleFile) symbols() (all []moduleSymbol, whole bool) {
	table, names := f.section(".symtab"), f.section(".strtab")
	size, section, info := 16, 14, 12
	if f.wide {
		size, section, info = 24, 6, 4
	}
	if len(table)%size != 0 || len(table) == 0 {
		return nil, false
	}
	for b := table[size:]; len(b) > 0; b = b[size:] {
		at := f.order.Uint32(b)
		if uint64(at) >= uint64(len(names)) {
			return all, false
		}
		const register = 13 // SPARC: not undefined, but a register
		sparc := f.machine == elf.EM_SPARC || f.machine == elf.EM_SPARCV9
		undefined := f.order.Uint16(b[section:]) == 0 && !(sparc && b[info]&0xf == register)
		// a name is copied when it is wanted: of most symbols it is not
		if name := names[at:]; undefined || bytes.HasPrefix(name, []byte("__crc_")) {
			all = append(all, moduleSymbol{text(name), undefined})
		}
	}
	return all, true
}

// needs are the undefined symbols, then those that only the table of versions has.
func (f *moduleFile) needs(symbols []moduleSymbol) []string {
	var all []string
	seen := map[string]bool{}
	for _, s := range symbols {
		if s.undefined && s.name != "" {
			all = append(all, s.name)
			seen[s.name] = true
		}
	}
	const size = 64 // of a version: a word with the checksum, and the name
	word := 4
	if f.wide {
		word = 8
	}
	versions := f.section("__versions")
	if len(versions)%size != 0 {
		return all
	}
	first := map[string]bool{}
	for ; len(versions) > 0; versions = versions[size:] {
		name := text(versions[word:size])
		if seen[name] && !first[name] {
			first[name] = true
			continue
		}
		all = append(all, name)
	}
	return all
}
