package blockmap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
)

// Format of a block map; doc/blockmap.md has it in full.
const (
	magic      = "DUBMAP\r\n"
	version    = 2
	headerSize = len(magic) + 4 + 4
	keySize    = 8
	lengthMax  = 3 // bytes of a length, which is at most PieceMax

	windowMax = 1 << 20 // bytes: the window of the zstd frame
)

// countMax is how many pieces an image of size bytes has at most: of two neighbours one has at
// least pieceMin bytes, or is the rest of a segment longer than PieceMax.
func countMax(size int64) int64 { return size/(pieceMin/2) + 16 }

// MarshalBinary encodes m as doc/blockmap.md says.
func (m *Map) MarshalBinary() ([]byte, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression),
		zstd.WithWindowSize(windowMax), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("encode block map: %w", err)
	}
	defer enc.Close() // EncodeAll has written everything
	out := binary.LittleEndian.AppendUint32([]byte(magic), version)
	out = binary.LittleEndian.AppendUint32(out, uint32(m.Len()))
	return enc.EncodeAll(m.plain(), out), nil
}

// plain gives what the file holds compressed: all lengths, then all keys.
func (m *Map) plain() []byte {
	out := make([]byte, 0, m.Len()*(lengthMax+keySize))
	for i := range m.ends {
		out = binary.AppendUvarint(out, uint64(m.Piece(i).Length))
	}
	for _, k := range m.keys {
		out = binary.LittleEndian.AppendUint64(out, uint64(k))
	}
	return out
}

// Parse decodes the map of an image of size bytes. It takes no more memory than the largest map of
// such an image. Errors wrap chunkstore.ErrCorrupt, also when the map is of an image of another
// size, or chunkstore.ErrVersion.
func Parse(file []byte, size int64) (*Map, error) {
	m, err := parse(file, size)
	if err != nil {
		return nil, fmt.Errorf("read block map: %w", err)
	}
	return m, nil
}

func parse(file []byte, size int64) (*Map, error) {
	if len(file) < headerSize || string(file[:len(magic)]) != magic {
		return nil, corrupt("it does not begin like a block map")
	}
	if v := binary.LittleEndian.Uint32(file[len(magic):]); v != version {
		return nil, fmt.Errorf("%w: %d, this program knows %d", chunkstore.ErrVersion, v, version)
	}
	count := int64(binary.LittleEndian.Uint32(file[len(magic)+4:]))
	if count > countMax(size) {
		return nil, corrupt("%d pieces are too many for %d bytes", count, size)
	}
	plain, err := decompress(file[headerSize:], count*(lengthMax+keySize))
	if err != nil {
		return nil, err
	}
	if int64(len(plain)) < count*(1+keySize) {
		return nil, corrupt("%d bytes for %d pieces", len(plain), count)
	}
	m := &Map{ends: make([]int64, 0, count), keys: make([]Key, 0, count)}
	end := int64(0)
	for range count {
		v, used := binary.Uvarint(plain)
		if used <= 0 || used > lengthMax || used > 1 && plain[used-1] == 0 || v == 0 ||
			v > PieceMax {
			return nil, corrupt("piece %d of %d has no length in shortest form from 1 to %d",
				len(m.ends), count, PieceMax)
		}
		plain = plain[used:]
		end += int64(v)
		m.ends = append(m.ends, end)
	}
	if end != size {
		return nil, corrupt("pieces of %d bytes, the image has %d", end, size)
	}
	if int64(len(plain)) != count*keySize {
		return nil, corrupt("%d bytes of keys for %d pieces", len(plain), count)
	}
	for ; len(plain) > 0; plain = plain[keySize:] {
		m.keys = append(m.keys, Key(binary.LittleEndian.Uint64(plain)))
	}
	return m, nil
}

// decompress gives the plain bytes of a frame, at most limit.
func decompress(frame []byte, limit int64) ([]byte, error) {
	dec, err := zstd.NewReader(bytes.NewReader(frame), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(windowMax))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	plain, err := io.ReadAll(io.LimitReader(dec, limit+1))
	if err != nil {
		return nil, corrupt("%v", err)
	}
	return plain, nil
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{chunkstore.ErrCorrupt}, args...)...)
}
