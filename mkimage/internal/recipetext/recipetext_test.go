package recipetext

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"deltaup/chunkstore"
)

var format = Format{Name: "list", Magic: "test-list", Version: "3", LineMax: 200_000}

// list is a recipe with a line for each kind of field.
type list struct {
	chunking chunkstore.Params
	contents Contents
	items    []item
}

type item struct {
	name          string // escaped
	number        uint64
	signed        int32
	mode          uint32 // octal
	major, minor  uint32 // optional: 0:0 is left out
	content       *chunkstore.Content
	withoutFile   bool
	lineOfTheItem int
}

func (i *item) append(b []byte) []byte {
	if i.withoutFile {
		b = append(b, "item "...)
	} else {
		b = AppendContent(append(b, "file "...), i.content)
		b = append(b, ' ')
	}
	b = fmt.Appendf(b, "%d %d %o ", i.number, i.signed, i.mode)
	b = AppendEscaped(b, i.name)
	if i.major|i.minor != 0 {
		b = fmt.Appendf(b, " dev=%d:%d", i.major, i.minor)
	}
	return b
}

func (l *list) body(f *Fields, b []byte) ([]byte, error) {
	word := f.Text()
	if word == WordChunk {
		return l.contents.Chunk(f, b)
	}
	l.contents.End()
	i := item{withoutFile: word != "file", lineOfTheItem: f.Line}
	if !i.withoutFile {
		i.content = l.contents.Take(f)
	}
	i.number, i.signed, i.mode, i.name = f.Number(10, 63), f.Int32(), uint32(f.Number(8, 12)), f.Escaped()
	if f.Has("dev") {
		i.major, i.minor = f.Pair()
	}
	l.items = append(l.items, i)
	return i.append(b), nil
}

func parse(r io.Reader) (*list, error) {
	l := new(list)
	return l, Read(r, format, []LineFunc{Chunking(&l.chunking)}, l.body)
}

func (l *list) write(w io.Writer) (int64, error) {
	out := NewWriter(w, format)
	out.Line(AppendChunking(out.Buf(), l.chunking))
	for i := range l.items {
		out.Line(l.items[i].append(out.Buf()))
		out.Chunks(l.items[i].content)
	}
	return out.Close()
}

func hexID(c byte) string { return strings.Repeat(string(c), 64) }

// sample has every kind of line and field; the tests below damage it.
var sample = strings.Join([]string{
	"test-list 3",
	"chunks min=1024 average=2048 max=8192",
	"item 9223372036854775807 -2147483648 7777 name",
	"item 0 0 0 %00%20%25%7F%FF~!", // line 4
	"item 0 0 0 ",
	"file 5000 " + hexID('a') + " 1 1 1 a dev=8:1",
	"+ 3000 " + hexID('b'), // line 7
	"+ 2000 -",
	"file 0 - 1 1 1 empty",
	"file 5000 " + hexID('a') + " 1 1 1 again", // line 10
	"file 3000 " + hexID('b') + " 1 1 1 one-chunk",
	"end 11",
	"",
}, "\n")

func TestRead(t *testing.T) {
	l, err := parse(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if n, err := l.write(&b); err != nil || n != int64(b.Len()) || b.String() != sample {
		t.Errorf("wrote %d bytes, %v:\n%s", n, err, b.String())
	}
	if want := (chunkstore.Params{Min: 1024, Average: 2048, Max: 8192}); l.chunking != want {
		t.Errorf("chunking %+v", l.chunking)
	}
	if len(l.items) != 7 {
		t.Fatalf("%d items", len(l.items))
	}
	if got, want := l.items[1].name, "\x00 %\x7f\xff~!"; got != want {
		t.Errorf("name %q, want %q", got, want)
	}
	file, empty, again, small := l.items[3], l.items[4], l.items[5], l.items[6]
	want := []chunkstore.Chunk{{ID: id('b'), Size: 3000}, {Size: 2000}}
	if file.content.ID != id('a') || !slices.Equal(file.content.Chunks, want) || file.lineOfTheItem != 6 || file.major != 8 {
		t.Errorf("file %+v", file)
	}
	if empty.content != nil || again.content != file.content {
		t.Errorf("empty %+v, again %+v", empty, again)
	}
	if want := []chunkstore.Chunk{{ID: id('b'), Size: 3000}}; !slices.Equal(small.content.Chunks, want) {
		t.Errorf("content of one chunk %+v", small.content)
	}
}

func id(c byte) (id chunkstore.ID) {
	if err := id.UnmarshalText([]byte(hexID(c))); err != nil {
		panic(err)
	}
	return id
}

// TestReadRefuses damages the sample in one place at a time.
func TestReadRefuses(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, new string
		line     int
	}{
		{"empty file", sample, "", 1},
		{"magic", "test-list 3", "test-lists 3", 1},
		{"version that is no number", "test-list 3", "test-list x", 1},
		{"no version", "test-list 3", "test-list", 1},
		{"carriage return", "test-list 3\n", "test-list 3\r\n", 1},
		{"word", "chunks min", "chunk min", 2},
		{"name of a parameter", "min=1024", "mix=1024", 2},
		{"parameters swapped", "min=1024 average=2048", "average=2048 min=1024", 2},
		{"parameter missing", " max=8192", "", 2},
		{"parameter too much", "max=8192", "max=8192 more=1", 2},
		{"empty parameter", "max=8192", "max=", 2},
		{"parameter out of range", "max=8192", "max=2147483648", 2},
		{"number too large", "9223372036854775807", "9223372036854775808", 3},
		{"number with sign", "item 0 0 0 %", "item +0 0 0 %", 4},
		{"number with zero", "item 0 0 0 %", "item 00 0 0 %", 4},
		{"no number", "item 0 0 0 %", "item  0 0 %", 4},
		{"underscore", "item 0 0 0 %", "item 1_0 0 0 %", 4},
		{"signed number too small", "-2147483648", "-2147483649", 3},
		{"signed number with plus", "-2147483648", "+7", 3},
		{"octal number with a 9", "7777", "7779", 3},
		{"octal number too large", "7777", "10000", 3},
		{"two spaces", "item 0 0 0 %", "item 0  0 0 %", 4},
		{"too few fields", "item 0 0 0 \n", "item 0 0 0\n", 5},
		{"too many fields", "item 0 0 0 \n", "item 0 0 0  \n", 5},
		{"unknown named field", "dev=8:1", "div=8:1", 6},
		{"needless named field", "dev=8:1", "dev=0:0", 6},
		{"pair of one", "dev=8:1", "dev=8", 6},
		{"pair of three", "dev=8:1", "dev=8:1:1", 6},
		{"escape in lower case", "%FF", "%ff", 4},
		{"needless escape", "%FF", "%41", 4},
		{"escape of one digit", "%FF~!", "%F", 4},
		{"escape of no digit", "%FF~!", "%", 4},
		{"escape with a sign", "%FF", "%+1", 4},
		{"raw byte", "%FF", "\xff", 4},
		{"raw delete", "%7F", "\x7f", 4},
		{"content without id", "file 5000 " + hexID('a') + " 1 1 1 again", "file 5000 - 1 1 1 again", 10},
		{"id without content", "file 0 -", "file 0 " + hexID('c'), 9},
		{"zero id", hexID('a') + " 1 1 1 again", hexID('0') + " 1 1 1 again", 10},
		{"upper-case id", hexID('a') + " 1 1 1 again", hexID('A') + " 1 1 1 again", 10},
		{"another size", "file 5000 " + hexID('a') + " 1 1 1 again", "file 5001 " + hexID('a') + " 1 1 1 again", 10},
		{"chunk of nothing", "item 0 0 0 %", "+ 1 -\nitem 0 0 0 %", 4},
		{"chunk of a known content", "again\n", "again\n+ 3000 " + hexID('b') + "\n", 11},
		{"chunk of an empty content", "empty\n", "empty\n+ 3000 " + hexID('b') + "\n", 10},
		{"chunk without id", "+ 2000 -", "+ 2000", 8},
		{"chunk with more", "+ 2000 -", "+ 2000 - -", 8},
		{"chunk with the zero id", "+ 2000 -", "+ 2000 " + hexID('0'), 8},
		{"chunk with its content's id", "+ 2000 -", "+ 2000 " + hexID('a'), 8},
		{"long line", "item 0 0 0 %", "item 0 0 0 " + strings.Repeat("x", format.LineMax) + "%", 4},
		{"no end", "end 11\n", "", 12},
		{"end without newline", "end 11\n", "end 11", 12},
		{"wrong count", "end 11", "end 12", 12},
		{"count with zero", "end 11", "end 011", 12},
		{"bytes behind the end", "end 11\n", "end 11\n\n", 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(sample, c.old, c.new, 1)
			if text == sample {
				t.Fatal("the case changes nothing")
			}
			_, err := parse(strings.NewReader(text))
			if want := fmt.Sprintf("list: line %d: ", c.line); !errors.Is(err, chunkstore.ErrCorrupt) || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error %v, want one at line %d", err, c.line)
			}
		})
	}
}

func TestReadVersion(t *testing.T) {
	_, err := parse(strings.NewReader(strings.Replace(sample, "list 3", "list 4", 1)))
	if !errors.Is(err, chunkstore.ErrVersion) || errors.Is(err, chunkstore.ErrCorrupt) ||
		!strings.Contains(err.Error(), "version 4") || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("error %v", err)
	}
}

// TestReadLongLine reads a line that is longer than the reader's buffer.
func TestReadLongLine(t *testing.T) {
	name := strings.Repeat("x", 150_000)
	l, err := parse(strings.NewReader(strings.Replace(sample, "7777 name", "7777 "+name, 1)))
	if err != nil || l.items[0].name != name {
		t.Errorf("a name of %d bytes: %v", len(name), err)
	}
}

// TestReadError demands that an error of the reader is not ErrCorrupt, wherever it comes.
func TestReadError(t *testing.T) {
	failure := errors.New("cable pulled")
	for _, n := range []int{0, 5, 12, len(sample) - 1, len(sample)} {
		_, err := parse(io.MultiReader(strings.NewReader(sample[:n]), iotest.ErrReader(failure)))
		if !errors.Is(err, failure) || errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// TestWriteError demands that Close returns the error and names the format.
func TestWriteError(t *testing.T) {
	l, err := parse(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	failure := errors.New("disk full")
	for range 100_000 / 50 { // more than the buffer
		l.items = append(l.items, item{withoutFile: true, name: strings.Repeat("x", 50)})
	}
	if _, err := l.write(failingWriter{failure}); !errors.Is(err, failure) || !strings.HasPrefix(err.Error(), "write list: ") {
		t.Errorf("error %v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestCheckParameters(t *testing.T) {
	for codec, ok := range map[string]bool{
		"zstd-best.1": true, "x": true, strings.Repeat("a", 64): true,
		"": false, "-x": false, "Zstd": false, "a b": false, strings.Repeat("a", 65): false,
	} {
		err := CheckParameters(codec, chunkstore.DefaultParams)
		if (err == nil) != ok || err != nil && !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("codec %q: %v", codec, err)
		}
	}
	if err := CheckParameters("x", chunkstore.Params{Min: 2, Average: 1, Max: 1}); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("chunking: %v", err)
	}
}

func TestContentCheck(t *testing.T) {
	hole := func(n int64) chunkstore.Chunk { return chunkstore.Chunk{Size: n} }
	chunk := func(c byte, n int64) chunkstore.Chunk { return chunkstore.Chunk{ID: id(c), Size: n} }
	for _, c := range []struct {
		name string
		// of a content of 1000 bytes with id a, cut into at most 600 bytes
		chunks []chunkstore.Chunk
		ok     bool
	}{
		{"two", []chunkstore.Chunk{chunk('b', 600), chunk('c', 400)}, true},
		{"a hole may be longer", []chunkstore.Chunk{hole(900), chunk('c', 100)}, true},
		{"nothing but a hole", []chunkstore.Chunk{hole(1000)}, true},
		{"twice the same", []chunkstore.Chunk{chunk('b', 500), chunk('b', 500)}, true},
		{"none", nil, false},
		{"too short", []chunkstore.Chunk{chunk('b', 600), chunk('c', 399)}, false},
		{"too long", []chunkstore.Chunk{chunk('b', 600), chunk('c', 401)}, false},
		{"empty", []chunkstore.Chunk{hole(0), hole(1000)}, false},
		{"negative", []chunkstore.Chunk{hole(-1), hole(1001)}, false},
		{"overflow", []chunkstore.Chunk{hole(1<<63 - 1), hole(1<<63 - 1)}, false},
		{"above the maximum", []chunkstore.Chunk{chunk('b', 601), chunk('c', 399)}, false},
		{"one id, two sizes", []chunkstore.Chunk{chunk('b', 600), chunk('b', 400)}, false},
		{"the only one is another", []chunkstore.Chunk{chunk('b', 1000)}, false},
	} {
		v := NewContentCheck(chunkstore.Params{Max: 600})
		if err := v.Chunks(&chunkstore.Content{ID: id('a'), Size: 1000, Chunks: c.chunks}); (err == nil) != c.ok || err != nil && !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	v := NewContentCheck(chunkstore.Params{Max: 600})
	a, other := &chunkstore.Content{ID: id('a')}, &chunkstore.Content{ID: id('a')}
	for _, c := range []struct {
		content   *chunkstore.Content
		first, ok bool
	}{{a, true, true}, {a, false, true}, {other, false, false}} {
		if first, err := v.First(c.content); first != c.first || (err == nil) != c.ok {
			t.Errorf("first %v, %v", first, err)
		}
	}
}

// FuzzRead demands that the writer writes what Read accepts as the same bytes.
func FuzzRead(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("test-list 3\nchunks min=1 average=1 max=1\nend 2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := parse(bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
				t.Errorf("error %v", err)
			}
			return
		}
		var b bytes.Buffer
		if _, err := l.write(&b); err != nil || !bytes.Equal(b.Bytes(), text) {
			t.Errorf("%v, written as %q", err, b.Bytes())
		}
	})
}
