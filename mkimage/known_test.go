package mkimage

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
)

// openImage opens an image in memory.
func openImage(t *testing.T, image []byte) *squashfs.Image {
	t.Helper()
	m, err := squashfs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// withoutData gives an image without its data.
func withoutData(t *testing.T, image []byte) []byte {
	t.Helper()
	b := bytes.Clone(image)
	clear(b[96:openImage(t, image).Info().Tables])
	return b
}

// TestDeriveKnown derives with a known recipe. The image lacks the data that Derive need not read.
func TestDeriveKnown(t *testing.T) {
	r, image, _ := makeImage(t, zoo(64<<10), Options{BlockSize: 64 << 10, Level: "fastest", Order: []string{"usr/lib/size-5"}})
	want := recipeText(t, r)
	if got := recipeText(t, derive(t, withoutData(t, image), DeriveOptions{Known: r}).Recipe); got != want {
		t.Error("from a known recipe and no data comes another recipe")
	}

	// Derive reads contents without chunks, and files that the known recipe does not have.
	part := *r
	lost, wanted := 0, int64(0)
	part.Entries = changed(&r.Entries, func(i int, e *Entry) {
		if e.Content == nil || e.Size == 0 || i%3 == 0 {
			return
		}
		if i%3 == 1 {
			e.Content = &chunkstore.Content{ID: e.Content.ID, Size: e.Content.Size}
		} else {
			e.Path += " elsewhere"
		}
		lost++
	})
	if lost < 10 {
		t.Fatalf("%d contents are not known", lost)
	}
	var read int64
	progress := func(done, total int64) { read, wanted = done, total }
	d := derive(t, image, DeriveOptions{Known: &part, Progress: progress})
	if recipeText(t, d.Recipe) != want {
		t.Error("from part of a recipe comes another one")
	}
	all := int64(0)
	for c := range r.Contents() {
		all += c.Size
	}
	if read == 0 || read != wanted || read >= all {
		t.Errorf("read %d of %d bytes, all contents have %d", read, wanted, all)
	}

	// A known recipe that was cut by other params is of no use.
	params := chunkstore.Params{Min: 4 << 10, Average: 16 << 10, Max: 64 << 10}
	other, err := Derive(context.Background(), openImage(t, image), params, DeriveOptions{Known: r, Progress: progress})
	if err != nil || other.Recipe.Chunking != params || read != all {
		t.Errorf("cut otherwise: %d of %d bytes read, %v", read, all, err)
	}
}

func TestFingerprint(t *testing.T) {
	fingerprint := func(image []byte) chunkstore.ID {
		t.Helper()
		id, err := Fingerprint(openImage(t, image))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	options := Options{BlockSize: 64 << 10, Level: "fastest"}
	_, image, _ := makeImage(t, zoo(64<<10), options)
	want := fingerprint(image)
	if fingerprint(withoutData(t, image)) != want {
		t.Error("data count")
	}
	// In a partition other bytes may follow the image, also within what ReadTrailer reads when the
	// padding is short.
	m := openImage(t, image)
	trailer, err := m.Trailer()
	if err != nil {
		t.Fatal(err)
	}
	end := m.Info().BytesUsed + int64(len(trailer))
	for _, behind := range [][]byte{make([]byte, 1<<20), bytes.Repeat([]byte{0xa5}, 1<<20), bytes.Repeat([]byte("line\n"), 1000)} {
		in := append(bytes.Clone(image[:end]), behind...)
		if fingerprint(in) != want {
			t.Errorf("behind the image is %q: another fingerprint", behind[:10])
		}
		if _, ok, err := ReadTrailer(openImage(t, in)); !ok || err != nil {
			t.Errorf("behind the image is %q: no trailer, %v", behind[:10], err)
		}
	}
	for name, change := range map[string]func(m *memTree, o *Options){
		"content": func(m *memTree, _ *Options) {
			i := slices.IndexFunc(m.files, func(f file) bool { return f.Path == "usr/lib/size-5" })
			f := &m.files[i]
			f.data = realistic(7, int(f.Size))
		},
		"time":  func(m *memTree, _ *Options) { m.files[0].ModTime++ },
		"order": func(_ *memTree, o *Options) { o.Order = []string{"usr/lib/size-5"} },
	} {
		changed, o := zoo(64<<10), options
		change(changed, &o)
		if _, image, _ := makeImage(t, changed, o); fingerprint(image) == want {
			t.Errorf("another %s: the same fingerprint", name)
		}
	}
}
