package artifact

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/cpiotest"
	"deltaup/internal/test/kerneltest"
)

// ukiOf makes a unified kernel image.
func ukiOf(version byte, kernel, initrd []byte) []byte {
	return kerneltest.UKI(version, kerneltest.Section{Name: ".linux", Data: kernel},
		kerneltest.Section{Name: ".cmdline", Data: []byte("quiet")},
		kerneltest.Section{Name: ".ucode", Data: cpiotest.Root(map[string][]byte{"kernel/x86/microcode": noise(81, 300)})},
		kerneltest.Section{Name: ".initrd", Data: initrd})
}

// ownInitrd makes an initrd anew, so that a codec of ours makes it again.
func ownInitrd(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	r, src, err := kind.TakeApart(t.Context(), bytes.NewReader(cpiotest.Initrd(files)), Options{Spool: new(memory), Level: "better"})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := r.Build(t.Context(), src, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// takeUKI takes one apart; the side has all of its contents and chunks.
func takeUKI(t testing.TB, file []byte, o Options) *side {
	t.Helper()
	o.Spool = new(memory)
	r, src, err := ByName("uki").TakeApart(t.Context(), bytes.NewReader(file), o)
	if err != nil {
		t.Fatal(err)
	}
	return sideOf(t, r, src)
}

// folders lists those of the parts.
func folders(r Recipe) string {
	var list []string
	for name := range r.Files() {
		folder, _, _ := strings.Cut(name, "/")
		list = append(list, folder)
	}
	return strings.Join(slices.Compact(list), " ")
}

// TestUKI takes unified kernel images apart and makes them again, whatever of them can't be.
func TestUKI(t *testing.T) {
	kernel := kerneltest.BzImage(1, bytes.Repeat(noise(80, 30<<10), 3))
	zstd := bytes.Clone(kernel)
	copy(zstd[bytes.Index(zstd, []byte("\x02\x21\x4c\x18")):], "\x28\xb5\x2f\xfd")
	xz, bzip2 := bytes.Clone(kernel), bytes.Clone(kernel)
	copy(xz[bytes.Index(xz, []byte("\x02\x21\x4c\x18")):], "\xfd7zXZ\x00")
	copy(bzip2[bytes.Index(bzip2, []byte("\x02\x21\x4c\x18")):], "BZh91AY")
	files := map[string][]byte{"init": noise(82, 9000), "conf": []byte("a=b\n")}
	own, other := ownInitrd(t, files), cpiotest.Initrd(files)
	for _, tt := range []struct {
		name           string
		kernel, initrd []byte
		folders, seed  string // seed "": the same
		warnings       int
	}{
		{"of ours", kernel, own, "raw1 kernel1 raw2 initrd1 raw3 initrd2 raw4", "", 0},
		{"another initrd", kernel, other, "raw1 kernel1 raw2 initrd1 raw3 raw4 raw5", "raw1 kernel1 raw2 initrd1 raw3 initrd2 raw4", 1},
		{"no initrd", kernel, []byte("noise"), "raw1 kernel1 raw2 initrd1 raw3 raw4 raw5", "", 1},
		{"bzip2", bzip2, own, "raw1 raw2 raw3 initrd1 raw4 initrd2 raw5", "", 1},
		{"xz", xz, own, "raw1 raw2 raw3 initrd1 raw4 initrd2 raw5", "", 0},
		{"zstd", zstd, own, "raw1 raw2 raw3 initrd1 raw4 initrd2 raw5", "", 0},
	} {
		file := ukiOf(1, tt.kernel, tt.initrd)
		var warned []string
		made := takeUKI(t, file, Options{Warn: func(text string) { warned = append(warned, text) }})
		if got := folders(made.recipe); got != tt.folders || len(warned) != tt.warnings {
			t.Errorf("%s: parts %s, warnings %q", tt.name, got, warned)
		}
		seed := takeUKI(t, file, Options{Seed: true})
		if got := folders(seed.recipe); got != cmp.Or(tt.seed, tt.folders) {
			t.Errorf("%s: a seed of parts %s", tt.name, got)
		}
		var got bytes.Buffer
		if n, err := made.recipe.Build(t.Context(), &memory{contents: made.files}, &got); err != nil || n != int64(len(file)) || !bytes.Equal(got.Bytes(), file) {
			t.Errorf("%s: another file is made: %v", tt.name, err)
		}
		if err := made.recipe.Verify(t.Context(), bytes.NewReader(file)); err != nil {
			t.Errorf("%s: verify: %v", tt.name, err)
		}
		for i, other := range [][]byte{append(bytes.Clone(file), 0), file[:len(file)-1], append([]byte{1}, file[1:]...)} {
			if err := made.recipe.Verify(t.Context(), bytes.NewReader(other)); err == nil {
				t.Errorf("%s: another file is verified, %d", tt.name, i)
			}
		}
		text, err := text(made.recipe)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ByName("uki").Parse(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v\n%s", tt.name, err, text)
		}
		if id, known := back.Codec(); !known {
			t.Errorf("%s: codec %s", tt.name, id)
		}
	}
}

func TestUKIForeign(t *testing.T) {
	for name, file := range map[string][]byte{
		"kernel": kerneltest.BzImage(1, []byte("plain")), "PE": kerneltest.UKI(1), "initrd": []byte("070701"),
	} {
		if _, _, err := ByName("uki").TakeApart(t.Context(), bytes.NewReader(file), Options{}); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := ukiOf(1, []byte("kernel"), nil)
	if _, _, err := ByName("uki").TakeApart(t.Context(), bytes.NewReader(file), Options{Whole: true}); !errors.Is(err, ErrForeign) {
		t.Errorf("one that the image has: %v", err)
	}
}

// TestUKISet leads from one unified kernel image to another, whose initrd has files of the image.
func TestUKISet(t *testing.T) {
	plain := bytes.Repeat(noise(83, 40<<10), 5)
	files := map[string][]byte{"lib": noise(84, 50<<10), "init": noise(85, 20<<10)}
	first := ukiOf(1, kerneltest.BzImage(1, plain), ownInitrd(t, files))
	plain = bytes.Clone(plain)
	copy(plain[90<<10:], "changed")
	files["lib"] = noise(86, 60<<10)
	file := ukiOf(2, kerneltest.BzImage(2, plain), ownInitrd(t, files))
	// each byte of the stub differs
	wantLed(t, first, file, "uki", map[string][]byte{"lib": files["lib"]}, 6000)
}

func TestUKIParseRefuses(t *testing.T) {
	sample, err := text(takeUKI(t, ukiOf(1, noise(87, 99), nil), Options{}).recipe)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"deltaup-uki 1", "deltaup-uki 2"}, {"deltaup-uki 1", "deltaup-kernel 1"}, {"deltaup-kernel 1", "deltaup-kernel 2"},
		{"deltaup-initrd", "deltaup-kernel"}, {"codec ", "codecs "}, {"\nend 4", "\nend 5"}, {"\nend 4", ""}, {"payload", "before"},
	} {
		changed := bytes.Replace(sample, []byte(c[0]), []byte(c[1]), 1)
		if bytes.Equal(changed, sample) {
			t.Fatalf("%q changes nothing in\n%s", c, sample)
		}
		if _, err := ByName("uki").Parse(bytes.NewReader(changed)); !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
			t.Errorf("%q: error %v", c, err)
		}
	}
	head, one := []byte(ukiMagic), sample[len(ukiMagic):][:bytes.Index(sample, []byte("\nend "))+len("\nend 5\n")-len(ukiMagic)]
	for n, ok := range map[int]bool{ukiPartsMax: true, ukiPartsMax + 1: false} {
		many := fmt.Appendf(append(bytes.Clone(head), bytes.Repeat(one, n)...), "end %d\n", n)
		if _, err := ByName("uki").Parse(bytes.NewReader(many)); (err == nil) != ok {
			t.Errorf("%d parts: error %v", n, err)
		}
	}
	for n := range len(sample) {
		if _, err := ByName("uki").Parse(bytes.NewReader(sample[:n])); err == nil {
			t.Fatalf("the first %d bytes are a recipe", n)
		}
	}
	if _, err := ByName("uki").Parse(bytes.NewReader(append(sample, '\n'))); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("a byte more: %v", err)
	}
}

// FuzzUKIParse: what is parsed encodes to the same bytes.
func FuzzUKIParse(f *testing.F) {
	for _, initrd := range [][]byte{nil, cpiotest.Root(map[string][]byte{"init": []byte("#!")})} {
		b, err := text(takeUKI(f, ukiOf(1, kerneltest.BzImage(1, []byte("plain")), initrd), Options{}).recipe)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("deltaup-uki 1\nend 0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := (&ukiKind{}).Parse(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
				t.Errorf("error %v", err)
			}
			return
		}
		if got, err := text(r); err != nil || !bytes.Equal(got, b) {
			t.Errorf("encodes to %q, %v", got, err)
		}
		r.Bare().With(func(c *chunkstore.Content) *chunkstore.Content { return c })
		for range r.Files() {
		}
	})
}

// FuzzUKITakeApart: what can be taken apart is made again byte for byte. Nothing is compressed, for
// encoders take long to begin.
func FuzzUKITakeApart(f *testing.F) {
	image := append(make([]byte, 0x38), "ARM\x64 and more"...)
	f.Add(ukiOf(1, image, cpiotest.Root(map[string][]byte{"init": []byte("#!")})))
	f.Add(ukiOf(1, []byte("kernel"), []byte("initrd")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, src, err := (&ukiKind{}).TakeApart(t.Context(), bytes.NewReader(b), Options{Spool: &memory{}})
		seed, _, seedErr := (&ukiKind{}).TakeApart(t.Context(), bytes.NewReader(b), Options{Spool: &memory{}, Seed: true})
		if (err == nil) != (seedErr == nil) || err != nil && !errors.Is(err, ErrUnsupported) {
			t.Fatalf("errors %v, as a seed %v", err, seedErr)
		}
		if err != nil {
			return
		}
		var got bytes.Buffer
		if _, err := r.Build(t.Context(), src, &got); err != nil || !bytes.Equal(got.Bytes(), b) {
			t.Errorf("another file is made: %v", err)
		}
		if err := r.Verify(t.Context(), bytes.NewReader(b)); err != nil {
			t.Errorf("verify: %v", err)
		}
		if folders(r) == folders(seed) {
			a, err := stripped(r)
			s, seedErr := stripped(seed)
			if err != nil || seedErr != nil || !bytes.Equal(a, s) {
				t.Errorf("as a seed it has another recipe: %v, %v\n%s\n%s", err, seedErr, a, s)
			}
		}
	})
}
