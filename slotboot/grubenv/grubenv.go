// Package grubenv reads and writes GRUB's environment block: a file of 1024 bytes that GRUB
// overwrites in place, sector by sector, past its file system. [Parse] reads bytes as GRUB's
// load_env does, damaged ones too. [Block.Marshal] has one encoding. [Read] and [Change] work on
// files, and [Find] mends them.
//
// This package writes the variables that begin with [Prefix] into the first sector of a block and
// those of others into the second. So a disk never tears a change of ours.
package grubenv

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// Size is the length of a block in bytes. GRUB loads other lengths too, but nobody makes them.
	Size = 1024
	// Sector is what a disk writes whole or not at all.
	Sector = 512
	// Prefix begins the names of our own variables.
	Prefix = "deltaup_"

	signature = "# GRUB Environment Block\n"
	padding   = '#'
)

var (
	// ErrMalformed is wrapped for bytes that are no environment block: they have another length, or
	// another first line.
	ErrMalformed = errors.New("not a GRUB environment block")
	// errFull says that ours, or the variables of others, do not fit into one sector.
	errFull = errors.New("GRUB environment block is full")
)

// variable is one assignment; name and value are free of NUL.
type variable struct{ name, value string }

// Block is a set of variables with unique names. The zero Block is empty.
type Block struct{ vars []variable }

// Parse reads a block of [Size] bytes as [LoadEnv] does. It wraps ErrMalformed for another size,
// and for bytes without the first line of a block. Whatever follows that line is no error.
func Parse(b []byte) (*Block, error) {
	if len(b) != Size {
		return nil, fmt.Errorf("%w: %d bytes, not %d", ErrMalformed, len(b), Size)
	}
	block, ok := LoadEnv(b)
	if !ok {
		return nil, fmt.Errorf("%w: its first line is %.24q", ErrMalformed, b)
	}
	return block, nil
}

// put sets a variable with any name; one that is there keeps its place.
func (b *Block) put(name, value string) {
	if i := b.index(name); i >= 0 {
		b.vars[i].value = value
		return
	}
	b.vars = append(b.vars, variable{name, value})
}

func (b *Block) index(name string) int {
	return slices.IndexFunc(b.vars, func(v variable) bool { return v.name == name })
}

// Get is the value of a variable, and whether the block has it.
func (b *Block) Get(name string) (value string, ok bool) {
	if i := b.index(name); i >= 0 {
		return b.vars[i].value, true
	}
	return "", false
}

// Set gives a variable a value. It fails for a name that has other characters than letters, digits
// and "_", or begins with a digit, and for a value with a NUL.
func (b *Block) Set(name, value string) error {
	if !plain(name) {
		return fmt.Errorf("set %q: not a variable name of GRUB", name)
	}
	if strings.ContainsRune(value, 0) {
		return fmt.Errorf("set %s: its value holds NUL", name)
	}
	b.put(name, value)
	return nil
}

// Unset removes a variable; one that is not there is no error.
func (b *Block) Unset(name string) {
	if i := b.index(name); i >= 0 {
		b.vars = slices.Delete(b.vars, i, i+1)
	}
}

// Names are the names of all variables, in the order of the block.
func (b *Block) Names() []string {
	names := make([]string, len(b.vars))
	for i, v := range b.vars {
		names[i] = v.name
	}
	return names
}

// plain tells whether GRUB's script can say name.
func plain(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// Marshal is the one encoding of the block, in Size bytes. The first sector has our variables,
// sorted, and the second those of others, in their order. A comment fills either. Variables with
// names that GRUB's script cannot say come from garbage, and are left out. Marshal fails when a
// sector does not suffice.
func (b *Block) Marshal() ([]byte, error) {
	var ours, theirs []*variable
	for i := range b.vars {
		v := &b.vars[i]
		switch {
		case !plain(v.name):
		case strings.HasPrefix(v.name, Prefix):
			ours = append(ours, v)
		default:
			theirs = append(theirs, v)
		}
	}
	slices.SortFunc(ours, func(x, y *variable) int { return strings.Compare(x.name, y.name) })
	out, err := fill([]byte(signature), ours, Sector, len(theirs) > 0)
	if err != nil {
		return nil, fmt.Errorf("%w: our variables need more than %d bytes", err, Sector)
	}
	if out, err = fill(out, theirs, Size, false); err != nil {
		return nil, fmt.Errorf("%w: variables of others need more than %d bytes", err, Size-Sector)
	}
	return out, nil
}

// fill appends lines to b and pads it to end; a closed padding ends with a newline.
func fill(b []byte, vars []*variable, end int, closed bool) ([]byte, error) {
	for _, v := range vars {
		b = append(b, v.name+"="+escaper.Replace(v.value)+"\n"...)
	}
	if len(b) > end || closed && len(b) > end-2 {
		return nil, errFull
	}
	b = pad(b, end)
	if closed {
		b[end-1] = '\n'
	}
	return b, nil
}
