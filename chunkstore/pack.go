package chunkstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Layout of a pack; doc/pack.md has it in full. All numbers are little-endian.
const (
	packMagic   = "DUPACK\r\n"
	packVersion = 1

	packHeaderSize  = 8 + 4      // magic, version
	packEntrySize   = 32 + 4 + 4 // id, plain size, stored length
	packTrailerSize = 4 + 32 + 8 // number of entries, BLAKE3-256 of the table, magic
	packSizeMin     = packHeaderSize + frameMin + packEntrySize + packTrailerSize

	// packEntriesMax bounds the number of frames in a pack, and so its table (10 MiB as stored).
	packEntriesMax = 1 << 18
)

// PackPath is a pack's path below a folder of packs: "ab/abcd….pack".
func PackPath(id ID) string {
	s := id.String()
	return s[:2] + "/" + s + packSuffix
}

const packSuffix = ".pack"

// PackEntry is one frame of a pack.
type PackEntry struct {
	Chunk
	Offset, Length int64 // of the frame, in the pack
}

// packWriter writes one pack. One goroutine uses it. After an error every call gives that error.
type packWriter struct {
	w     io.Writer
	whole *Hasher
	size  int64
	table []byte
	seen  map[ID]struct{}
	err   error
}

// newPackWriter begins a pack on w, in small writes: w should buffer them.
func newPackWriter(w io.Writer) *packWriter {
	p := &packWriter{w: w, whole: NewHasher(), seen: map[ID]struct{}{}}
	p.write(binary.LittleEndian.AppendUint32([]byte(packMagic), packVersion))
	return p
}

// len is the number of frames so far, at most [packEntriesMax].
func (p *packWriter) len() int { return len(p.seen) }

// add appends the frame of c (from [EncodeFrame]) and returns its offset in the pack. It does not
// decode the frame. Adding a chunk twice is an error.
func (p *packWriter) add(c Chunk, frame []byte) (offset int64, err error) {
	if p.err != nil {
		return 0, p.err
	}
	if err := checkFrame(c, int64(len(frame))); err != nil {
		return 0, fmt.Errorf("add to pack: %w", err)
	}
	if _, ok := p.seen[c.ID]; ok {
		return 0, fmt.Errorf("add to pack: chunk %s is there already", c.ID)
	}
	if len(p.seen) == packEntriesMax {
		return 0, errors.New("add to pack: it is full")
	}
	p.seen[c.ID] = struct{}{}
	offset = p.size
	p.write(frame)
	p.table = append(p.table, c.ID[:]...)
	p.table = binary.LittleEndian.AppendUint32(p.table, uint32(c.Size))
	p.table = binary.LittleEndian.AppendUint32(p.table, uint32(len(frame)))
	return offset, p.err
}

// close writes the table and the trailer and returns the pack's id and size in bytes. It does not
// close w.
func (p *packWriter) close() (id ID, size int64, err error) {
	if p.err == nil && len(p.seen) == 0 {
		p.err = errors.New("close pack: it is empty")
	}
	sum := Sum(p.table)
	trailer := binary.LittleEndian.AppendUint32(nil, uint32(len(p.seen)))
	trailer = append(trailer, sum[:]...)
	trailer = append(trailer, packMagic...)
	p.write(p.table)
	p.write(trailer)
	if p.err != nil {
		return ID{}, 0, p.err
	}
	p.err = errors.New("pack: closed")
	return p.whole.ID(), p.size, nil
}

func (p *packWriter) write(b []byte) {
	if p.err != nil {
		return
	}
	n, err := p.w.Write(b)
	p.whole.Write(b[:n])
	p.size += int64(n)
	p.err = err
}

// ReadPackTable reads the table of a pack of size bytes. It checks neither the pack's id nor the
// frames, which [DecodeFrame] checks one by one, but everything else. Its errors wrap [ErrCorrupt]
// or [ErrVersion], or are those of r.
func ReadPackTable(r io.ReaderAt, size int64) ([]PackEntry, error) {
	entries, err := readPackTable(r, size)
	if err != nil {
		return nil, fmt.Errorf("read pack: %w", err)
	}
	return entries, nil
}

func readPackTable(r io.ReaderAt, size int64) ([]PackEntry, error) {
	if size < packSizeMin {
		return nil, fmt.Errorf("%w: of %d bytes, at least %d are needed", ErrCorrupt, size,
			packSizeMin)
	}
	if err := readPackHeader(r); err != nil {
		return nil, err
	}
	var trailer [packTrailerSize]byte
	if err := readFullAt(r, trailer[:], size-packTrailerSize); err != nil {
		return nil, err
	}
	if string(trailer[36:]) != packMagic {
		return nil, fmt.Errorf("%w: no magic at its end, it may be truncated", ErrCorrupt)
	}
	count := int64(binary.LittleEndian.Uint32(trailer[:]))
	start := size - packTrailerSize - count*packEntrySize
	if count < 1 || count > packEntriesMax || start < packHeaderSize {
		return nil, fmt.Errorf("%w: %d entries in %d bytes", ErrCorrupt, count, size)
	}
	table := make([]byte, count*packEntrySize)
	if err := readFullAt(r, table, start); err != nil {
		return nil, err
	}
	if Sum(table) != ID(trailer[4:36]) {
		return nil, fmt.Errorf("%w: the table's checksum is wrong", ErrCorrupt)
	}
	return parsePackTable(table, start)
}

// parsePackTable reads the table of a pack whose frames lie between the header and end.
func parsePackTable(table []byte, end int64) ([]PackEntry, error) {
	entries := make([]PackEntry, 0, len(table)/packEntrySize)
	seen := make(map[ID]struct{}, cap(entries))
	offset := int64(packHeaderSize)
	for ; len(table) > 0; table = table[packEntrySize:] {
		e := PackEntry{
			Chunk:  Chunk{ID: ID(table[:32]), Size: int64(binary.LittleEndian.Uint32(table[32:]))},
			Offset: offset,
			Length: int64(binary.LittleEndian.Uint32(table[36:])),
		}
		if err := checkFrame(e.Chunk, e.Length); err != nil {
			return nil, err
		}
		if _, ok := seen[e.ID]; ok {
			return nil, fmt.Errorf("%w: chunk %s twice", ErrCorrupt, e.ID)
		}
		seen[e.ID] = struct{}{}
		offset += e.Length
		entries = append(entries, e)
	}
	if offset != end {
		return nil, fmt.Errorf("%w: its frames end at %d, its table begins at %d", ErrCorrupt,
			offset, end)
	}
	return entries, nil
}

func readPackHeader(r io.ReaderAt) error {
	var header [packHeaderSize]byte
	if err := readFullAt(r, header[:], 0); err != nil {
		return err
	}
	if string(header[:8]) != packMagic {
		return fmt.Errorf("%w: it does not begin like a pack", ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(header[8:]); v != packVersion {
		return fmt.Errorf("%w: %d, this program knows %d", ErrVersion, v, packVersion)
	}
	return nil
}

func readFullAt(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: it ends early", ErrCorrupt)
	}
	return err
}
