package mkimage

import (
	"fmt"

	"deltaup/chunkstore"
)

// trailer is what an image of ours tells about its recipe and the rest of the image
// does not: one line of text behind the last table, see doc/image.md.
type trailer struct {
	codec    string
	chunking chunkstore.Params
	first    int // how many contents with data Recipe.First names
}

const trailerFormat = "deltaup codec=%s chunks=%d,%d,%d first=%d\n"

func trailerOf(r *Recipe) trailer {
	return trailer{codec: r.Codec, chunking: r.Chunking, first: len(r.First)}
}

func (t trailer) encode() []byte {
	return fmt.Appendf(nil, trailerFormat, t.codec, t.chunking.Min, t.chunking.Average, t.chunking.Max, t.first)
}

// parseTrailer reads a trailer; false when b is no trailer of ours.
func parseTrailer(b []byte) (trailer, bool) {
	var t trailer
	_, err := fmt.Sscanf(string(b), trailerFormat, &t.codec, &t.chunking.Min, &t.chunking.Average, &t.chunking.Max, &t.first)
	if err != nil || string(t.encode()) != string(b) ||
		!codecSyntax.MatchString(t.codec) || t.chunking.Validate() != nil || t.first < 0 {
		return trailer{}, false
	}
	return t, true
}
