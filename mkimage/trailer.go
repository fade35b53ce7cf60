package mkimage

import (
	"bytes"
	"fmt"

	"deltaup/chunkstore"
	"deltaup/mkimage/internal/recipetext"
	"deltaup/mkimage/squashfs"
)

// Trailer is one line of text behind the last table of an image that Build made. It tells the part
// of the recipe that the rest of the image does not tell. Format: doc/image.md.
type Trailer struct {
	Codec    string            // Recipe.Codec
	Chunking chunkstore.Params // Recipe.Chunking
	First    int               // number of paths in Recipe.First
	// HotEnd is the offset in the image at which the data of Recipe.First end; 0: there are none.
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

// ReadTrailer reads the trailer of an image. ok is false when Build did not make the image.
func ReadTrailer(m *squashfs.Image) (t Trailer, ok bool, err error) {
	b, err := m.Trailer()
	if err != nil {
		return Trailer{}, false, err
	}
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i+1] // behind a short padding there may be the rest of a larger image
	}
	t, ok = parseTrailer(b)
	return t, ok && m.Info().Compression == "zstd", nil
}

// parseTrailer parses a trailer. It gives false when b is none.
func parseTrailer(b []byte) (Trailer, bool) {
	var t Trailer
	// If b does not scan to its end, or scans by chance, encode does not give the same bytes.
	fmt.Sscanf(string(b), trailerFormat, &t.Codec, &t.Chunking.Min, &t.Chunking.Average,
		&t.Chunking.Max, &t.First, &t.HotEnd)
	if string(t.encode()) != string(b) || t.First < 0 || t.HotEnd < 0 ||
		recipetext.CheckParameters(t.Codec, t.Chunking) != nil {
		return Trailer{}, false
	}
	return t, true
}
