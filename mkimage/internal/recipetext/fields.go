package recipetext

import (
	"bytes"
	"strconv"
)

// Fields reads the fields of a line one by one. It keeps its first error, after which fields are
// zero. It accepts needless zeros, signs and escapes; [Read] refuses them when it compares the line
// with its one spelling.
type Fields struct {
	Line int // number of the line, from 1

	rest []byte
	more bool // a field is left; it may be empty
	err  error
}

// Fail sets the error, unless there is one, to one that wraps chunkstore.ErrCorrupt.
func (f *Fields) Fail(format string, args ...any) {
	if f.err == nil {
		f.err = Corrupt(format, args...)
	}
}

// next gives the next field, which is valid until the next line.
func (f *Fields) next() []byte {
	if !f.more {
		f.Fail("too few fields")
	}
	if f.err != nil {
		return nil
	}
	var field []byte
	field, f.rest, f.more = bytes.Cut(f.rest, []byte(" "))
	return field
}

// Text reads a field as it is.
func (f *Fields) Text() string { return string(f.next()) }

// Word reads the word that must begin the line.
func (f *Fields) Word(word string) {
	if string(f.next()) != word {
		f.Fail("expected a line %q", word)
	}
}

// Has reports whether the next field has the form NAME=VALUE. If so, the next call reads VALUE.
func (f *Fields) Has(name string) bool {
	if !f.more || len(f.rest) <= len(name) || string(f.rest[:len(name)]) != name ||
		f.rest[len(name)] != '=' {
		return false
	}
	f.rest = f.rest[len(name)+1:]
	return true
}

// Named demands that the next field has the form NAME=VALUE. It returns f, whose next call reads
// VALUE.
func (f *Fields) Named(name string) *Fields {
	if !f.Has(name) {
		f.Fail("expected %s=", name)
	}
	return f
}

// Number reads an unsigned number of at most bits bits.
func (f *Fields) Number(base, bits int) uint64 { return f.parse(f.next(), base, bits) }

// Uint32 reads a decimal number.
func (f *Fields) Uint32() uint32 { return uint32(f.Number(10, 32)) }

// Int reads a decimal number below 2^31.
func (f *Fields) Int() int { return int(f.Number(10, 31)) }

// Int32 reads a decimal number that may have a sign.
func (f *Fields) Int32() int32 {
	s := f.next()
	v, err := strconv.ParseInt(string(s), 10, 32)
	if err != nil {
		f.Fail("%.40q is no number of 32 bits", s)
	}
	return int32(v)
}

// Pair reads two decimal numbers in one field, with a colon between them.
func (f *Fields) Pair() (uint32, uint32) {
	a, b, _ := bytes.Cut(f.next(), []byte(":"))
	return uint32(f.parse(a, 10, 32)), uint32(f.parse(b, 10, 32))
}

func (f *Fields) parse(s []byte, base, bits int) uint64 {
	v, err := strconv.ParseUint(string(s), base, bits)
	if err != nil {
		f.Fail("%.40q is no number below 2^%d", s, bits)
		return 0
	}
	return v
}

// Escaped reads a name that [AppendEscaped] wrote.
func (f *Fields) Escaped() string {
	s := f.next()
	if bytes.IndexByte(s, '%') < 0 {
		return string(s)
	}
	plain := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			plain = append(plain, s[i])
			continue
		}
		v, err := strconv.ParseUint(string(s[i+1:min(i+3, len(s))]), 16, 8)
		if err != nil {
			f.Fail("a broken escape")
			return ""
		}
		plain = append(plain, byte(v))
		i += 2
	}
	return string(plain)
}
