package initrd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

func hexID(c byte) string { return strings.Repeat(string(c), 64) }

// sample is a small recipe with every kind of line; the tests below damage it. It is the golden
// text of version 1.
var sample = strings.Join([]string{
	"deltaup-initrd 1", // line 1
	"codec zstd-stream-best.1",
	"chunks min=1024 average=2048 max=8192",
	"plain",
	"zeros 8",
	"cpio newc upper",
	"f 0644 0 0 1700000000 1 0 5000 " + hexID('a') + " kernel/x86/microcode/GenuineIntel.bin", // line 7
	"+ 3000 " + hexID('b'),
	"+ 1000 -",
	"+ 1000 " + hexID('c'),
	"t 0 0 0 0 1 0", // line 11
	"zeros 1023",
	"frame",
	"cpio crc lower",
	"d 0755 0 0 1700000000 2 721 . dev=8:1",
	"f 0644 0 0 1700000000 2 1 0 - empty dev=8:1", // line 16
	"f 4755 1 2 1700000000 2 0 3000 " + hexID('b') + " with%20a%20space%00%00 dev=8:1 check=0004a2f0",
	"f 0644 0 0 1700000000 1 -7 5000 " + hexID('a') + " same",
	"l 0777 0 0 0 1 1 link /target%20with%20space",
	"l 0777 0 0 0 1 1 no-target ", // line 20
	"b 0660 0 6 0 1 1 8 1 blk",
	"c 0660 0 6 0 1 1 1 3 chr",
	"p 0600 0 0 0 1 1 pipe rdev=0:7",
	"s 0600 0 0 0 1 1 sock dev=0:36 rdev=1:2 check=00000001",
	"t 100644 0 0 0 1 -2147483648 dev=1:0", // line 25
	"zeros 3",
	"cpio newc upper",
	"t 0 0 0 0 1 0",
	"zeros 36",
	"plain", // line 30
	"cpio newc upper",
	"t 0 0 0 0 1 0",
	"end 32",
	"",
}, "\n")

func TestParseRecipe(t *testing.T) {
	r, err := ParseRecipe(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(recipeText(t, r)); got != sample {
		t.Errorf("encodes to\n%s", got)
	}
	if len(r.Segments) != 3 || r.Segments[0].zeros != 1023 || r.Segments[0].Archives[0].zeros != 8 ||
		!r.Segments[1].packed || len(r.Segments[1].Archives) != 2 || r.Segments[1].Archives[1].zeros != 3 {
		t.Errorf("segments %+v", r.Segments)
	}
	a := r.Segments[1].Archives[0]
	if !a.crc || !a.lower || len(a.Members) != 11 {
		t.Errorf("archive %+v", a)
	}
	want := Member{Name: "with a space\x00\x00", mode: 0o104755, uid: 1, gid: 2, modTime: 1_700_000_000, links: 2,
		inode: 722, devMajor: 8, devMinor: 1, check: 0x4a2f0, Content: a.Members[2].Content}
	if !reflect.DeepEqual(a.Members[2], want) {
		t.Errorf("the member is %+v, want %+v", a.Members[2], want)
	}
	if m := a.Members[3]; m.inode != 715 || m.Content != r.Segments[0].Archives[0].Members[0].Content || len(m.Content.Chunks) != 3 {
		t.Errorf("the member with the same content is %+v", m)
	}
	if m := a.Members[6]; m.rDevMajor != 8 || m.rDevMinor != 1 || m.mode != 0o060660 {
		t.Errorf("the device is %+v", m)
	}
	if n := len(chunkstore.Distinct(r.Contents())); n != 2 {
		t.Errorf("%d distinct chunks", n)
	}
}

// TestParseRecipeRefuses damages the sample in one place at a time.
func TestParseRecipeRefuses(t *testing.T) {
	cases := []struct {
		name     string
		old, new string
		want     error
	}{
		{"magic", "deltaup-initrd 1", "deltaup-recipe 1", chunkstore.ErrCorrupt},
		{"version", "deltaup-initrd 1", "deltaup-initrd 2", chunkstore.ErrVersion},
		{"spelling of the version", "deltaup-initrd 1", "deltaup-initrd 01", chunkstore.ErrVersion},
		{"codec", "codec zstd", "codec  zstd", chunkstore.ErrCorrupt},
		{"codec id", "zstd-stream-best.1", "Zstd", chunkstore.ErrCorrupt},
		{"chunking", "min=1024", "min=+1024", chunkstore.ErrCorrupt},
		{"chunking values", "min=1024", "min=1", chunkstore.ErrCorrupt},
		{"word", "plain\nzeros", "simple\nzeros", chunkstore.ErrCorrupt},
		{"letter", "p 0600", "q 0600", chunkstore.ErrCorrupt},
		{"field after a word", "frame", "frame 1", chunkstore.ErrCorrupt},
		{"format", "cpio crc", "cpio odc", chunkstore.ErrCorrupt},
		{"case", "crc lower", "crc Lower", chunkstore.ErrCorrupt},
		{"no archive", "cpio crc lower\n", "", chunkstore.ErrCorrupt},
		{"no segment", "plain\nzeros 8\n", "zeros 8\n", chunkstore.ErrCorrupt},
		{"archive without segment", "plain\nzeros 8\n", "", chunkstore.ErrCorrupt},
		{"two plain segments", "frame", "plain", chunkstore.ErrCorrupt},
		{"two lines of zeros", "zeros 8\n", "zeros 4\nzeros 4\n", chunkstore.ErrCorrupt},
		{"no zeros", "zeros 8", "zeros 0", chunkstore.ErrCorrupt},
		{"negative zeros", "zeros 8", "zeros -8", chunkstore.ErrCorrupt},
		{"too many zeros", "zeros 8", "zeros 8589934592", chunkstore.ErrCorrupt},
		{"an archive not at a multiple of 4", "zeros 3\n", "zeros 4\n", chunkstore.ErrCorrupt},
		{"zeros that Build makes", "plain\ncpio", "plain\nzeros 4\ncpio", chunkstore.ErrCorrupt},
		{"zeros before a member", "t 0 0 0 0 1 0\nzeros 1023", "zeros 1023\nt 0 0 0 0 1 0", chunkstore.ErrCorrupt},
		{"no trailer", "t 100644 0 0 0 1 -2147483648 dev=1:0\n", "", chunkstore.ErrCorrupt},
		{"a trailer too many", "p 0600", "t 0 0 0 0 1 0\np 0600", chunkstore.ErrCorrupt},
		{"a trailer by name", "pipe", "TRAILER!!!", chunkstore.ErrCorrupt},
		{"a trailer that is a link", "t 100644", "t 120777", chunkstore.ErrCorrupt},
		{"mode", "d 0755", "d 755", chunkstore.ErrCorrupt},
		{"mode with type", "d 0755", "d 40755", chunkstore.ErrCorrupt},
		{"uid", "4755 1 2", "4755 4294967296 2", chunkstore.ErrCorrupt},
		{"inode", "2 721 .", "2 +721 .", chunkstore.ErrCorrupt},
		{"inode range", "2 721 .", "2 2147483648 .", chunkstore.ErrCorrupt},
		{"size without content", "0 - empty", "1 - empty", chunkstore.ErrCorrupt},
		{"content without size", "0 - empty", "0 " + hexID('d') + " empty", chunkstore.ErrCorrupt},
		{"another size", "5000 " + hexID('a') + " same", "5001 " + hexID('a') + " same", chunkstore.ErrCorrupt},
		{"chunks missing", "+ 1000 -\n", "", chunkstore.ErrCorrupt},
		{"chunk too large", "+ 3000 ", "+ 9000 ", chunkstore.ErrCorrupt},
		{"chunk of no bytes", "+ 1000 -", "+ 0 -", chunkstore.ErrCorrupt},
		{"chunk line after a link", "l 0777 0 0 0 1 1 link", "l 0777 0 0 0 1 1 link /x\n+ 1 -\nl 0777 0 0 0 1 1 link", chunkstore.ErrCorrupt},
		{"chunk size differs", "+ 1000 " + hexID('c'), "+ 1000 " + hexID('b'), chunkstore.ErrCorrupt},
		{"no name", " pipe rdev", "  rdev", chunkstore.ErrCorrupt},
		{"escape", "with%20a", "with%2", chunkstore.ErrCorrupt},
		{"needless escape", "with%20a", "with%20%61", chunkstore.ErrCorrupt},
		{"escape in lower case", "%20with%20space", "%20with%20space%ff", chunkstore.ErrCorrupt},
		{"no target", "link /target%20with%20space", "link", chunkstore.ErrCorrupt},
		{"a rare field twice", "sock dev=0:36", "sock dev=0:36 dev=0:36", chunkstore.ErrCorrupt},
		{"rare fields in another order", "dev=0:36 rdev=1:2", "rdev=1:2 dev=0:36", chunkstore.ErrCorrupt},
		{"a rare field of zero", "pipe rdev=0:7", "pipe rdev=0:0", chunkstore.ErrCorrupt},
		{"rdev of a device", "8 1 blk", "8 1 blk rdev=8:1", chunkstore.ErrCorrupt},
		{"an unknown field", "pipe rdev", "pipe edev", chunkstore.ErrCorrupt},
		{"check", "check=00000001", "check=1", chunkstore.ErrCorrupt},
		{"a long name", " sock ", " " + strings.Repeat("n", 4096) + " ", chunkstore.ErrCorrupt},
		{"a long line", " sock ", " " + strings.Repeat("n", 70_000) + " ", chunkstore.ErrCorrupt},
		{"end", "end 32", "end 31", chunkstore.ErrCorrupt},
		{"no end", "end 32\n", "", chunkstore.ErrCorrupt},
		{"cut", "end 32\n", "end 32", chunkstore.ErrCorrupt},
		{"bytes after the end", "end 32\n", "end 32\n\n", chunkstore.ErrCorrupt},
	}
	for _, c := range cases {
		text := strings.Replace(sample, c.old, c.new, 1)
		if text == sample {
			t.Errorf("%s: nothing was damaged", c.name)
		}
		if _, err := ParseRecipe(strings.NewReader(text)); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
}

func FuzzParseRecipe(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("deltaup-initrd 1\ncodec x\nchunks min=64 average=64 max=64\nframe\ncpio newc upper\nt 0 0 0 0 1 0\nend 6\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRecipe(bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
				t.Errorf("error %v", err)
			}
			return
		}
		if got := recipeText(t, r); !bytes.Equal(got, text) {
			t.Errorf("encodes to %q", got)
		}
	})
}

// FuzzNewRecipe demands that an initrd that was taken apart and put together can be taken apart to
// the same recipe.
func FuzzNewRecipe(f *testing.F) {
	file := member(Member{Name: "file", mode: modeFile, links: 1}, "some data")
	link := member(Member{Name: "link", mode: modeLink, inode: 7}, "target")
	plain := join(file, link, []byte(end), make([]byte, 12))
	f.Add(plain)
	f.Add(join(plain, make([]byte, 8), plain))
	for _, packer := range []string{"gzip", "zstd", "zstd-3", "xz", "xz-mt", "lz4"} {
		f.Add(join([]byte(end), pack(f, packer, plain)))
	}
	f.Fuzz(func(t *testing.T, initrd []byte) {
		var spool memorySpool
		r, src, err := NewRecipe(context.Background(), bytes.NewReader(initrd), Options{Level: "fastest", Chunking: smallChunks, Spool: &spool})
		if err != nil {
			if !errors.Is(err, ErrUnsupported) {
				t.Errorf("error %v", err)
			}
			return
		}
		text := recipeText(t, r)
		if parsed, err := ParseRecipe(bytes.NewReader(text)); err != nil || !reflect.DeepEqual(parsed, r) {
			t.Errorf("the recipe is parsed to another: %v\n%s", err, text)
		}
		build(t, r, src)
	})
}

// BenchmarkBuild measures compressing; bench/results has figures of real initrds.
func BenchmarkBuild(b *testing.B) {
	plain := join(member(Member{Name: "f", mode: modeFile}, string(goldenPlain())), []byte(end))
	for _, level := range mkimage.Levels() {
		b.Run(level, func(b *testing.B) {
			r, src := takeApart(b, plain, level)
			r.Segments[0].packed = true
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Build(context.Background(), r, src, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchRecipe has 10,000 members, most of them files.
func benchRecipe() *Recipe {
	r := &Recipe{Codec: codecs[0].ID, Chunking: chunkstore.DefaultParams}
	a := Archive{}
	for i := range 10_000 {
		m := Member{Name: fmt.Sprintf("usr/lib/modules/6.1.0-28-amd64/kernel/drivers/module-%04d.ko", i), mode: modeDir | 0o755, links: 1, inode: uint32(i)}
		if i%10 != 0 {
			m.mode = modeFile | 0o644
			m.Content = &chunkstore.Content{ID: chunkstore.Sum([]byte(m.Name)), Size: 20_000}
			m.Content.Chunks = []chunkstore.Chunk{{ID: m.Content.ID, Size: m.Content.Size}}
		}
		a.Members = append(a.Members, m)
	}
	a.Members = append(a.Members, Member{Name: trailerName, links: 1})
	r.Segments = []Segment{{packed: true, Archives: []Archive{a}}}
	return r
}

func BenchmarkParseRecipe(b *testing.B) {
	text := recipeText(b, benchRecipe())
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRecipe(bytes.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}
