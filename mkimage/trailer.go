package mkimage

import (
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
}

const trailerFormat = "deltaup codec=%s chunks=%d,%d,%d first=%d\n"

func trailerOf(r *Recipe) Trailer {
	return Trailer{Codec: r.Codec, Chunking: r.Chunking, First: len(r.First)}
}

func (t Trailer) encode() []byte {
	return fmt.Appendf(nil, trailerFormat, t.Codec, t.Chunking.Min, t.Chunking.Average, t.Chunking.Max, t.First)
}

// ReadTrailer reads the trailer of an image; ok is false when the image was not made by Build.
func ReadTrailer(m *squashfs.Image) (t Trailer, ok bool, err error) {
	b, err := m.Trailer()
	if err != nil {
		return Trailer{}, false, err
	}
	t, ok = parseTrailer(b)
	return t, ok && m.Info().Compression == "zstd", nil
}

// parseTrailer reads a trailer; false when b is no trailer of ours.
func parseTrailer(b []byte) (Trailer, bool) {
	var t Trailer
	_, err := fmt.Sscanf(string(b), trailerFormat, &t.Codec, &t.Chunking.Min, &t.Chunking.Average, &t.Chunking.Max, &t.First)
	if err != nil || string(t.encode()) != string(b) ||
		recipetext.CheckParameters(t.Codec, t.Chunking) != nil || t.First < 0 {
		return Trailer{}, false
	}
	return t, true
}
