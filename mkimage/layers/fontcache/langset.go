package fontcache

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// orthographies has each language: a line with its name and its number in 2.14.1 (- for one that is
// newer) and in 2.15.0, then lines with the characters that it is written with, as ranges: how far
// each begins behind the end of the one before, and how many more it has, hexadecimal.
//
//go:embed orthographies.txt
var orthographies string

// language is what a font must have for one.
type language struct {
	name  string
	bits  [2]int // its number, by release; -1: the release knows it not
	chars charSet
	han   bool // see han
}

// langSet says which languages a font is for.
type langSet []uint32

// languages gives all that a release knows.
var languages = sync.OnceValue(func() (list []*language) {
	var last uint32
	for line := range strings.Lines(orthographies) {
		fields := strings.Fields(line)
		switch {
		case line[0] == '#':
		case line[0] == ' ':
			l := list[len(list)-1]
			for r := range strings.SplitSeq(fields[0], ",") {
				begin, more, _ := strings.Cut(r, "+")
				last += number(begin, 16)
				l.chars.add(last)
				for range number("0"+more, 16) {
					last++
					l.chars.add(last)
				}
			}
		default:
			l := &language{name: fields[0]}
			for i := range l.bits {
				l.bits[i] = -1
				if fields[1+i] != "-" {
					l.bits[i] = int(number(fields[1+i], 10))
				}
			}
			for _, h := range han {
				l.han = l.han || h.lang == l.name
			}
			list, last = append(list, l), 0
		}
	}
	return list
})

// number reads a number of a text that is part of the program.
func number(s string, base int) uint32 {
	n, err := strconv.ParseUint(s, base, 32)
	if err != nil {
		panic(fmt.Sprintf("a number of the languages: %v", err))
	}
	return uint32(n)
}

// han has the languages with Han's letters, and the bits of OS/2's code pages with which a font
// says that it is for them.
var han = []struct {
	bit  int
	lang string
}{{17, "ja"}, {18, "zh-cn"}, {19, "ko"}, {20, "zh-tw"}}

// findLanguages tells which languages a font with these characters is for. exclusive is the only
// one of those with Han's letters that the font is for, or "".
func (r *release) findLanguages(c *charSet, exclusive string) langSet {
	set := make(langSet, r.langWords)
	pages := -1
	for _, l := range languages() {
		if l.name == exclusive {
			pages = len(l.chars.numbers)
		}
	}
	for _, l := range languages() {
		bit := l.bits[r.column]
		// fontconfig compares just how many pages there are
		if bit < 0 || pages >= 0 && l.han && len(l.chars.numbers) != pages {
			continue
		}
		if c.contains(&l.chars) {
			set[bit>>5] |= 1 << (bit & 31)
		}
	}
	return set
}
