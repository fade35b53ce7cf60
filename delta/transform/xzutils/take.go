package xzutils

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/mikelolasagasti/xz"
)

// errOther is returned for a file that Encode does not make.
var errOther = errors.New("xzutils: not a file that can be made again")

// Limits bound the files that are taken apart.
type Limits struct {
	Content int64 // decompressed bytes
	Memory  int64 // bytes that Encode may take
}

// Decompress gives the content of a file of one stream. Its error says that the file is damaged,
// exceeds the limits, or has what Encode does not make.
func Decompress(file []byte, limits Limits) ([]byte, error) {
	l, err := readLayout(file, limits)
	if err != nil {
		return nil, err
	}
	r, err := xz.NewReader(bytes.NewReader(file), l.params.lzma.dict)
	if err != nil {
		return nil, err
	}
	r.Multistream(false)
	plain := make([]byte, l.plain)
	if _, err := io.ReadFull(r, plain); err != nil {
		return nil, err
	}
	if n, err := r.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return nil, errOther
	}
	return plain, nil
}

// Begin gives the first bytes of a file's content, at most n, or fewer of a damaged file.
func Begin(file []byte, n int, limits Limits) []byte {
	l, err := readLayout(file, limits)
	if err != nil {
		return nil
	}
	r, err := xz.NewReader(bytes.NewReader(file), l.params.lzma.dict)
	if err != nil {
		return nil
	}
	plain := make([]byte, n)
	n, _ = io.ReadFull(r, plain)
	return plain[:n]
}

// Find gives the parameters with which Encode makes file of its content. It tries the searches of
// xz's presets. One that liblzma did not use mostly shows within the first hundreds of bytes.
func Find(file, plain []byte, limits Limits) (Params, bool) {
	l, err := readLayout(file, limits)
	if err != nil || l.plain != int64(len(plain)) {
		return Params{}, false
	}
	p := l.params
	for _, o := range presets {
		o.dict, o.lc, o.lp, o.pb = p.lzma.dict, p.lzma.lc, p.lzma.lp, p.lzma.pb
		p.lzma = o
		if !p.valid() || p.Memory(l.plain) > limits.Memory {
			continue
		}
		if (&stream{params: p, want: file}).write(plain) == nil {
			return p, true
		}
	}
	return Params{}, false
}

// layout is what the headers and the index of a file tell.
type layout struct {
	params Params // without how matches are searched
	plain  int64  // length of the content
	first  int64  // length of the content of the first block
}

// readLayout reads what is needed to judge whether file is within the limits.
func readLayout(file []byte, limits Limits) (l layout, err error) {
	if len(file) < 2*headSize || string(file[:len(headMagic)]) != headMagic ||
		file[6] != 0 || string(file[len(file)-2:]) != footMagic {
		return l, errOther
	}
	l.params.check = check(file[7])
	if l.params.check.size() < 0 {
		return l, errOther
	}
	blocks, err := l.readIndex(file)
	if err != nil {
		return l, err
	}
	l.params.lzma = presets[len(presets)-1] // which takes least memory
	l.params.lzma.dict = minDict
	if blocks > 0 {
		err = l.readHead(file[headSize:])
	}
	if l.plain > limits.Content || l.params.Memory(l.plain) > limits.Memory {
		return l, errOther
	}
	return l, err
}

// readIndex reads the index and gives the number of blocks. All but the last must be equally long.
func (l *layout) readIndex(file []byte) (uint64, error) {
	foot := file[len(file)-headSize:]
	size := (int64(binary.LittleEndian.Uint32(foot[4:])) + 1) * 4
	if size > int64(len(file)-2*headSize) {
		return 0, errOther
	}
	index := varints{file[int64(len(file))-headSize-size : len(file)-headSize-4]}
	if index.next() != 0 {
		return 0, errOther
	}
	blocks := index.next()
	if blocks > uint64(size) {
		return 0, errOther
	}
	packed := size + 2*headSize
	for i := range blocks {
		packed += int64(min(index.next(), maxContent)+3) &^ 3
		plain := int64(index.next())
		if i == 0 {
			l.first = plain
		}
		if plain <= 0 || plain > l.first || i > 0 && l.plain%l.first != 0 ||
			l.plain > maxContent-plain {
			return 0, errOther
		}
		l.plain += plain
	}
	if packed != int64(len(file)) {
		return 0, errOther
	}
	if blocks > 1 {
		l.params.blockSize = l.first
	}
	return blocks, nil
}

// varints are the numbers of an index, then zeros.
type varints struct{ b []byte }

func (v *varints) next() uint64 {
	x, n := binary.Uvarint(v.b)
	v.b = v.b[max(0, n):]
	return x
}

// minBlockHead is the length of the shortest header of a block, in bytes.
const minBlockHead = 8

// readHead reads the header of the first block and the one of its first chunk.
func (l *layout) readHead(b []byte) error {
	size := (int(b[0]) + 1) * 4
	if size < minBlockHead || size > len(b)-headSize ||
		b[1]&^(flagPackedSize|flagPlainSize|1) != 0 {
		return errOther
	}
	p := &l.params
	switch b[1] & (flagPackedSize | flagPlainSize) {
	case 0:
	case flagPackedSize | flagPlainSize:
		p.sized = true
	default:
		return errOther
	}
	fields := varints{b[2 : size-4]}
	if p.sized {
		fields.next()
		fields.next()
	}
	filters := fields.b
	if b[1]&1 != 0 {
		if !bytes.HasPrefix(filters, []byte{filterX86, 0}) {
			return errOther
		}
		p.x86, filters = true, filters[2:]
	}
	if len(filters) < 3 || filters[0] != filterLZMA2 || filters[1] != 1 {
		return errOther
	}
	var ok bool
	if p.lzma.dict, ok = dictSize(filters[2]); !ok || p.lzma.dict > maxDict {
		return errOther
	}
	if p.sized && p.blockSize == 0 {
		p.blockSize = min(max(3*int64(p.lzma.dict), 1<<20), maxContent)
		if l.plain > p.blockSize {
			p.blockSize = l.plain
		}
	}
	return l.readChunk(b[size:])
}

// readChunk takes lc, lp and pb from the first chunk of b that has them.
func (l *layout) readChunk(b []byte) error {
	for len(b) > 6 {
		if b[0] >= 0xc0 {
			if !l.params.lzma.setProperties(b[5]) {
				return errOther
			}
			break
		}
		if b[0] != 1 && b[0] != 2 {
			break
		}
		b = b[min(len(b), 4+int(b[1])<<8+int(b[2])):]
	}
	return nil
}

// presets are the searches of xz's presets, likely ones first: 6 to 9; with e; 5, 4, 3 and 5 with
// e, and 3 to 0.
var presets = []options{
	{lc: 3, pb: 2, normal: true, finder: trees4, nice: 64, depth: 48},
	{lc: 3, pb: 2, normal: true, finder: trees4, nice: 273, depth: 512},
	{lc: 3, pb: 2, normal: true, finder: trees4, nice: 32, depth: 32},
	{lc: 3, pb: 2, normal: true, finder: trees4, nice: 16, depth: 24},
	{lc: 3, pb: 2, normal: true, finder: trees4, nice: 192, depth: 112},
	{lc: 3, pb: 2, finder: chains4, nice: 273, depth: 48},
	{lc: 3, pb: 2, finder: chains4, nice: 273, depth: 24},
	{lc: 3, pb: 2, finder: chains4, nice: 128, depth: 8},
	{lc: 3, pb: 2, finder: chains3, nice: 128, depth: 4},
}
