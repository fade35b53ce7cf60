package transform

import (
	"slices"
	"sort"
)

// symbol is the part of a symbol table's entry that other tables refer to.
type symbol struct {
	name    uint32
	kind    uint8 // STT_… of ELF
	section uint16
	value   uint64
}

// symbolTable is the symbol table of a relocatable file.
type symbolTable struct {
	file    *elfFile
	symbols []symbol
	strings []byte
	tokens  *tokens
	within  map[int][]symbol // by section: its symbols, in order of addresses
	anchors map[int]*anchors // by section
}

// rewriteSymtab makes each entry of a relocatable file's symbol table relative to entries before
// it: the name to the end of the name before, the value to that of the last symbol in the same
// section. With inverse it undoes that.
func rewriteSymtab(table, strings []byte, inverse bool) {
	next := uint32(1)
	last := map[uint16]uint64{}
	for ; len(table) >= elfSymbolSize; table = table[elfSymbolSize:] {
		name, value, section := le.Uint32(table), le.Uint64(table[8:]), le.Uint16(table[6:])
		stored, storedValue := name-next, value-last[section]
		if inverse {
			stored, storedValue = name+next, value+last[section]
			name, value = stored, storedValue
		}
		le.PutUint32(table, stored)
		le.PutUint64(table[8:], storedValue)
		if name != 0 {
			next = name + uint32(len(stringAt(strings, name))) + 1
		}
		last[section] = value
	}
}

// rewriteDynsym does so with the names of a program's symbol table. The table is sorted by hash, so
// values do not depend on those before: they become words of pointerCoder that give a function's
// number or the distance from a region's beginning.
func rewriteDynsym(table, strings []byte, starts []uint64, regions []region, inverse bool) bool {
	next := uint32(1)
	c := newPointerCoder(starts, regions)
	c.absolute = true
	for ; len(table) >= elfSymbolSize; table = table[elfSymbolSize:] {
		name, value := le.Uint32(table), le.Uint64(table[8:])
		if inverse {
			ok := false
			name += next
			if value, ok = c.address(value); !ok {
				return false
			}
			le.PutUint32(table, name)
			le.PutUint64(table[8:], value)
		} else {
			le.PutUint32(table, name-next)
			le.PutUint64(table[8:], c.word(value))
		}
		if name != 0 {
			next = name + uint32(len(stringAt(strings, name))) + 1
		}
	}
	return true
}

// symbolsOf gives the symbols of a table, which must have its original form in b.
func (f *elfFile) symbolsOf(s *elfSection, b []byte) *symbolTable {
	if f.symbols == nil || f.symbolsFrom != s {
		f.symbols, f.symbolsFrom = readSymbols(f, s, b), s
	}
	return f.symbols
}

// token gives the token of the symbol with a number.
func (t *symbolTable) token(number uint32) (uint32, bool) {
	if t == nil || int64(number) >= int64(len(t.symbols)) {
		return 0, false
	}
	return t.tokens.of[number], true
}

// number undoes token.
func (t *symbolTable) number(token uint32) (uint32, bool) {
	if t == nil {
		return 0, false
	}
	n, ok := t.tokens.index[token]
	return n, ok
}

// readSymbols reads the symbol table in section s of b.
func readSymbols(f *elfFile, s *elfSection, b []byte) *symbolTable {
	t := &symbolTable{file: f, within: map[int][]symbol{}, anchors: map[int]*anchors{}}
	if str := f.at(s.link); str != nil {
		t.strings = str.of(b)
	}
	data := s.of(b)
	n := len(data) / elfSymbolSize
	t.symbols = make([]symbol, n)
	t.tokens = newTokens(n)
	for i := range t.symbols {
		e := data[i*elfSymbolSize:]
		s := symbol{le.Uint32(e), e[4] & 15, le.Uint16(e[6:]), le.Uint64(e[8:])}
		t.symbols[i] = s
		name := stringAt(t.strings, s.name)
		if s.kind == symbolKindSection {
			if at := f.at(int(s.section)); at != nil {
				name = at.name
			}
		}
		t.tokens.add(hashName(name), ^uint32(0))
		if s.kind < symbolKindSection {
			t.within[int(s.section)] = append(t.within[int(s.section)], s)
		}
	}
	for _, l := range t.within {
		sort.Stable(byValue(l))
	}
	return t
}

// byValue sorts symbols. Sorts with an interface share their code, which keeps the command for
// targets small.
type byValue []symbol

func (l byValue) Len() int           { return len(l) }
func (l byValue) Less(i, j int) bool { return l[i].value < l[j].value }
func (l byValue) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }

// anchors are the named places of a section: its symbols, or its strings if it is a string table.
type anchors struct {
	values []uint64 // ascending
	tokens *tokens
}

// in gives the anchors of a section of b, which must have its original form.
func (t *symbolTable) in(section int, b []byte) *anchors {
	if a := t.anchors[section]; a != nil {
		return a
	}
	a := &anchors{tokens: newTokens(0)}
	t.anchors[section] = a
	s := t.file.at(section)
	if s == nil {
		return a
	}
	if s.flags&flagStrings != 0 && s.flags&flagMerge != 0 && s.entry <= 1 {
		a.addStrings(s.of(b))
		return a
	}
	here := t.within[section]
	for i, sym := range here {
		if i == 0 || sym.value != here[i-1].value {
			a.values = append(a.values, sym.value)
			a.tokens.add(hashName(stringAt(t.strings, sym.name)), ^uint32(0))
		}
	}
	return a
}

func (a *anchors) addStrings(b []byte) {
	start := 0
	for i, c := range b {
		if c == 0 {
			if i > start {
				a.values = append(a.values, uint64(start))
				a.tokens.add(hashName(string(b[start:i])), ^uint32(0))
			}
			start = i + 1
		}
	}
}

// before gives the number of the last anchor at or before an address.
func (a *anchors) before(value uint64) (int, bool) {
	i, found := slices.BinarySearch(a.values, value)
	if !found {
		i--
	}
	return i, i >= 0
}
