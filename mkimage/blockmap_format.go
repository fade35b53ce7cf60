package mkimage

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
	blockmapMagic   = "DUBMAP\r\n"
	blockmapVersion = 1

	// What a block's number says; above that it is a compressed block's length plus blockCompressed.
	blockHole       = 0
	blockPlain      = 1 // its length is that of its plain bytes
	blockCompressed = 1

	blockNumberMax = 3 // bytes of a number: lengths are below 1 MiB

	blockmapWindow = 1 << 20 // at most, of the zstd frame
)

// MarshalBinary encodes b as doc/blockmap.md has it.
func (b *Blockmap) MarshalBinary() ([]byte, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression),
		zstd.WithWindowSize(blockmapWindow), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("encode block map: %w", err)
	}
	defer enc.Close() // nothing is written
	out := binary.LittleEndian.AppendUint32([]byte(blockmapMagic), blockmapVersion)
	return enc.EncodeAll(b.numbers(), out), nil
}

// numbers gives what is compressed in the file: a number for each block.
func (b *Blockmap) numbers() []byte {
	var out []byte
	for _, w := range b.words {
		switch {
		case w == 0:
			out = append(out, blockHole)
		case w&plainBit != 0:
			out = append(out, blockPlain)
		default:
			out = binary.AppendUvarint(out, uint64(w)+blockCompressed)
		}
	}
	return out
}

// ParseBlockmap decodes the block map of r's image. It takes at most memory in proportion to the blocks that
// r names. Errors wrap chunkstore.ErrCorrupt, also when the map is another image's, or chunkstore.ErrVersion.
func ParseBlockmap(file []byte, r *Recipe) (*Blockmap, error) {
	b := newBlockmap(r)
	numbers, err := blockmapNumbers(file, b.blockCount())
	if err == nil {
		err = b.fill(numbers)
	}
	if err != nil {
		return nil, fmt.Errorf("read block map: %w", err)
	}
	return b, nil
}

// blockmapNumbers decompresses the numbers of that many blocks.
func blockmapNumbers(file []byte, count int) ([]byte, error) {
	if len(file) < len(blockmapMagic)+4 || string(file[:len(blockmapMagic)]) != blockmapMagic {
		return nil, corrupt("it does not begin like a block map")
	}
	file = file[len(blockmapMagic):]
	if v := binary.LittleEndian.Uint32(file); v != blockmapVersion {
		return nil, fmt.Errorf("%w: %d, this program knows %d", chunkstore.ErrVersion, v, blockmapVersion)
	}
	dec, err := zstd.NewReader(bytes.NewReader(file[4:]), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(blockmapWindow))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	numbers, err := io.ReadAll(io.LimitReader(dec, int64(count)*blockNumberMax+1))
	if err != nil {
		return nil, corrupt("%v", err)
	}
	return numbers, nil
}

// fill enters all blocks.
func (b *Blockmap) fill(numbers []byte) error {
	b.words = make([]uint32, 0, b.blockCount())
	for i := range b.Stretches {
		b.begin()
		for n := range b.Stretches[i].Blocks(b.blockSize) {
			v, used := binary.Uvarint(numbers)
			if used <= 0 || used > blockNumberMax || used > 1 && numbers[used-1] == 0 {
				return corrupt("block %d of %d is cut off or no number in shortest form", len(b.words), cap(b.words))
			}
			numbers = numbers[used:]
			length, compressed := int(v)-blockCompressed, true
			if v <= blockPlain {
				length, compressed = 0, false
			}
			if v == blockPlain {
				length = b.size(i, n)
			}
			if err := b.append(length, compressed); err != nil {
				return err
			}
		}
	}
	if len(numbers) > 0 {
		return corrupt("more than %d blocks", len(b.words))
	}
	return nil
}
