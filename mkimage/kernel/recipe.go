package kernel

import (
	"io"

	"deltaup/mkimage/internal/recipetext"
)

// recipeFormat is the format in doc/kernel.md.
var recipeFormat = recipetext.Format{
	Name:    "kernel recipe",
	Magic:   "deltaup-kernel",
	Version: "1",
	LineMax: 256,
}

// Words that begin a line. The last three name contents too.
const (
	wordCodec   = "codec"
	wordBefore  = "before"
	wordPayload = "payload"
	wordBehind  = "behind"
)

// WriteTo writes r as doc/kernel.md says. It does not validate r.
func (r *Recipe) WriteTo(w io.Writer) (int64, error) {
	out := recipetext.NewWriter(w, recipeFormat)
	out.Line(r.appendCodec(out.Buf()))
	out.Line(recipetext.AppendChunking(out.Buf(), r.Chunking))
	for name, c := range r.Parts() {
		out.Line(recipetext.AppendContent(append(append(out.Buf(), name...), ' '), c))
		out.Chunks(c)
	}
	return out.Close()
}

func (r *Recipe) appendCodec(b []byte) []byte {
	return append(append(b, wordCodec+" "...), r.Codec...)
}
