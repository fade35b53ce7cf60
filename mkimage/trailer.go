package mkimage

import (
	"bytes"
	"fmt"

	"deltaup/chunkstore"
	"deltaup/mkimage/internal/recipetext"
	"deltaup/mkimage/squashfs"
)

// Trailer is what an image of ours tells about its recipe and the rest of the image
// does not: one line of text behind the last table, see doc/image.md.
type Trailer struct {
	Codec    string            // Recipe.Codec
	Chunking chunkstore.Params // Recipe.Chunking
	First    int               // length of Recipe.First
	// where the data of Recipe.First end in the image; 0 when there are none
	HotEnd int64
}

const trailerFormat = "deltaup codec=%s chunks=%d,%d,%d first=%d hot=%d\n"

func (t Trailer) encode() []byte {
	b := fmt.Appendf(nil, trailerFormat, t.Codec, t.Chunking.Min, t.Chunking.Average,
		t.Chunking.Max, t.First, t.HotEnd)
	if t.First == 0 {
		b = bytes.Replace(b, []byte(" hot=0\n"), []byte("\n"), 1)
	}
	return b
}

// ReadTrailer reads the trailer of an image; ok is false when the image was not made by Build.
func ReadTrailer(m *squashfs.Image) (t Trailer, ok bool, err error) {
	b, err := m.Trailer()
	if err != nil {
		return Trailer{}, false, err
	}
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i+1] // behind a short padding may be what a larger image left
	}
	t, ok = parseTrailer(b)
	return t, ok && m.Info().Compression == "zstd", nil
}

// parseTrailer reads a trailer; false when b is no trailer of ours.
func parseTrailer(b []byte) (Trailer, bool) {
	var t Trailer
	// What does not scan to the end, or scans by chance, is not encoded as the same bytes.
	fmt.Sscanf(string(b), trailerFormat, &t.Codec, &t.Chunking.Min, &t.Chunking.Average,
		&t.Chunking.Max, &t.First, &t.HotEnd)
	if string(t.encode()) != string(b) || recipetext.CheckParameters(t.Codec, t.Chunking) != nil ||
		t.First < 0 ||
		t.HotEnd < 0 {
		return Trailer{}, false
	}
	return t, true
}
