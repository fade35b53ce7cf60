package chunkstore

import "io"

// PackEntry is one frame of a pack.
type PackEntry struct {
	Chunk
	Offset, Length int64 // of the frame, in the pack
}

// PackWriter writes one pack. It is for one goroutine.
type PackWriter struct{}

// NewPackWriter writes a pack to w from its first byte on.
func NewPackWriter(w io.Writer) *PackWriter { panic("unbuilt") }

// Add appends the frame of c (from [EncodeFrame]) and returns its offset in the pack.
func (p *PackWriter) Add(c Chunk, frame []byte) (offset int64, err error) { panic("unbuilt") }

// Close writes table and trailer and returns the pack's name and size. It does not close w.
func (p *PackWriter) Close() (id ID, size int64, err error) { panic("unbuilt") }

// ReadPackTable reads the table of a pack of size bytes. It checks all but the
// frames, which [DecodeFrame] checks one by one.
func ReadPackTable(r io.ReaderAt, size int64) ([]PackEntry, error) { panic("unbuilt") }
