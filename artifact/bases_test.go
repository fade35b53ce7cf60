package artifact

import (
	"bytes"
	"io"
	"testing"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/internal/test/cpiotest"
	"deltaup/internal/test/kerneltest"
)

// armImage is a kernel above 16 MiB, for which no similar content is looked for.
func armImage(change string) []byte {
	b := noise(90, patchset.PieceMax+100<<10)
	copy(b, make([]byte, 64))
	copy(b[0x38:], "ARM\x64")
	copy(b[9<<20:], change)
	return b
}

// TestBases leads from kernels to unified kernel images, back, and between those of other sections:
// the kernel is the base of the kernel, wherever it is.
func TestBases(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	first, second := armImage("old"), armImage("new")
	initrd := cpiotest.Root(map[string][]byte{"init": noise(91, 900)})
	inUKI := func(kernel []byte) []byte {
		return kerneltest.UKI(1, kerneltest.Section{Name: ".linux", Data: kernel})
	}
	for _, tt := range []struct {
		name     string
		old, new []byte
		kind     string
	}{
		{"kernel to UKI", first, inUKI(second), "uki"},
		{"UKI to kernel", inUKI(first), second, "kernel"},
		{"UKI with an initrd before the kernel", inUKI(first), kerneltest.UKI(1,
			kerneltest.Section{Name: ".initrd", Data: initrd}, kerneltest.Section{Name: ".linux", Data: second}), "uki"},
	} {
		t.Run(tt.name, func(t *testing.T) { wantLed(t, tt.old, tt.new, tt.kind, nil, 8000) })
	}
}

// TestBasesTakenApart is TestBases for kernels whose contents are several.
func TestBasesTakenApart(t *testing.T) {
	plain := bytes.Repeat(noise(92, 40<<10), 5)
	kernels := [2][]byte{kerneltest.BzImage(1, plain)}
	copy(plain[90<<10:], "changed")
	kernels[1] = kerneltest.BzImage(2, plain)
	files := map[string][]byte{"init": noise(93, 5000)}
	ukis := [2][]byte{ukiOf(1, kernels[0], ownInitrd(t, files)), ukiOf(1, kernels[1], ownInitrd(t, files))}
	wantLed(t, kernels[0], ukis[1], "uki", nil, 11_000) // the initrd and the stub are new
	wantLed(t, ukis[0], kernels[1], "kernel", nil, 1000)
	for i, p := range []Pair{
		{Old: takeSide(t, kernels[0], Options{}).recipe, New: takeSide(t, ukis[1], Options{}).recipe},
		{Old: takeSide(t, ukis[0], Options{Seed: true}).recipe, New: takeSide(t, kernels[1], Options{}).recipe},
	} {
		if n := len(p.bases()); n != 3 {
			t.Errorf("pair %d: %d contents have bases", i, n)
		}
	}
	led := Pair{Old: takeSide(t, ukis[0], Options{Seed: true}).recipe, New: takeApart(t, files).recipe}
	if n := len(led.bases()); n != 1 {
		t.Errorf("%d contents of an initrd have bases in a unified kernel image", n)
	}
	none := Pair{Old: takeApart(t, files).recipe, New: takeApart(t, files).recipe}
	if n := len(none.bases()); n != 0 {
		t.Errorf("%d contents of an initrd have bases", n)
	}
}

// takeSide takes apart whatever an artifact may lead from that is named kernel.
func takeSide(t testing.TB, file []byte, o Options) *side {
	t.Helper()
	o.Spool = new(memory)
	r, src, err := TakeApart(t.Context(), "kernel", bytes.NewReader(file), o)
	if err != nil {
		t.Fatal(err)
	}
	return sideOf(t, r, src)
}

// wantLed demands that a set leads from one file to another, of a kind and beside an image of such
// files, and has at most so many bytes.
func wantLed(t *testing.T, old, new []byte, kind string, files map[string][]byte, most int) {
	t.Helper()
	image, k := imageOf(files), ByName(kind)
	from, to, seed := takeSide(t, old, Options{}), takeSide(t, new, Options{}), takeSide(t, old, Options{Seed: true})
	var set bytes.Buffer
	pair := Pair{k, from.recipe, to.recipe, image, patchset.FromStore(from), both(from, to)}
	if _, err := Make(t.Context(), &set, pair, patchset.MakeOptions{}); err != nil {
		t.Fatal(err)
	}
	if set.Len() > most {
		t.Errorf("a set of %d bytes", set.Len())
	}
	size, err := patchset.HeadSize(set.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	h, err := patchset.ReadHead(set.Bytes()[:size])
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(h, k, seed.recipe, image)
	if err == nil {
		err = s.ReadRecipe(stored(set.Bytes(), h, 0))
	}
	if err != nil {
		t.Fatal(err)
	}
	all := &memory{contents: map[chunkstore.ID][]byte{}}
	for id, b := range seed.files {
		all.contents[id] = b
	}
	for _, b := range files {
		all.contents[chunkstore.Sum(b)] = b
	}
	made := map[chunkstore.ID][]byte{}
	_, err = s.Apply(t.Context(),
		func(n int) ([]byte, error) { return stored(set.Bytes(), h, n), nil },
		func(c *chunkstore.Content) (io.ReaderAt, error) { return bytes.NewReader(seed.files[c.ID]), nil },
		func(c *chunkstore.Content, piece []byte) error {
			made[c.ID] = append(made[c.ID], piece...)
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	for id, b := range made {
		all.contents[id] = b
	}
	var got bytes.Buffer
	if _, err := s.Recipe.Build(t.Context(), all, &got); err != nil || !bytes.Equal(got.Bytes(), new) {
		t.Errorf("another file is made: %v", err)
	}
}
