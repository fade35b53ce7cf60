package xzutils

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/mikelolasagasti/xz"
)

// errOther is returned by Take for a file that Encode does not make.
var errOther = errors.New("xzutils: not a file that can be made again")

// Limits bound what Take accepts.
type Limits struct {
	Content int64 // decompressed bytes
	Memory  int64 // bytes that Encode may take
}

// Take decompresses a file and finds the parameters that it was made with. It compares what they
// give with the beginning of the file alone, so that a file that liblzma did not make is refused
// soon. Only Encode proves the rest.
func Take(file []byte, limits Limits) (Params, []byte, error) {
	l, err := readLayout(file)
	if err != nil {
		return Params{}, nil, err
	}
	if l.plain > limits.Content || l.params.Memory(l.plain) > limits.Memory {
		return Params{}, nil, errOther
	}
	plain, err := decompress(file, l)
	if err != nil {
		return Params{}, nil, err
	}
	p, ok := l.search(plain, limits.Memory)
	if !ok {
		return Params{}, nil, errOther
	}
	return p, plain, nil
}

// decompress unpacks a file, which must have the length that its index tells.
func decompress(file []byte, l layout) ([]byte, error) {
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

// layout is what the headers and the index of a file tell.
type layout struct {
	params Params // without how matches are searched
	plain  int64  // length of the content
	first  int64  // length of the content of the first block
	packed []byte // LZMA2 of the first block, and what follows
}

// cheapest is the search that takes the least memory.
var cheapest = withDict(presets[len(presets)-1], minDict)

func readLayout(file []byte) (l layout, err error) {
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
	l.params.lzma = cheapest
	if blocks == 0 {
		return l, nil
	}
	return l, l.readHead(file[headSize:])
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
	for i := range blocks {
		index.next()
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

// readHead reads the header of the first block and the one of its first chunk.
func (l *layout) readHead(b []byte) error {
	size := (int(b[0]) + 1) * 4
	if size > len(b)-headSize || b[1]&^(flagPackedSize|flagPlainSize|1) != 0 {
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
	l.packed = b[size:]
	return l.readChunk()
}

// readChunk takes lc, lp and pb from the first chunk that has them.
func (l *layout) readChunk() error {
	for b := l.packed; len(b) > 6; {
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

// agreed is how many compressed bytes must be as expected for a search to be taken for the file's.
const agreed = 64 << 10

// search finds the preset whose search gives the beginning of the file.
func (l *layout) search(plain []byte, memory int64) (Params, bool) {
	p := l.params
	block := plain[:l.first]
	if p.x86 {
		block = bytes.Clone(block)
		x86Absolute(block)
	}
	for _, o := range presets {
		o.dict, o.lc, o.lp, o.pb = p.lzma.dict, p.lzma.lc, p.lzma.lp, p.lzma.pb
		p.lzma = o
		if p.Memory(l.plain) > memory || !p.valid() {
			continue
		}
		want := &expectation{l.packed, agreed}
		err := newEncoder(o, l.first).block(io.Discard, block, want)
		if err == nil || err == errAgrees {
			return p, true
		}
	}
	return p, false
}

func withDict(o options, dict uint32) options {
	o.dict = dict
	return o
}
