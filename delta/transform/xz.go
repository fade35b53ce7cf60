package transform

import (
	"encoding/binary"

	"deltaup/delta/transform/xzutils"
)

// xzFile unpacks a .xz file if liblzma makes its bytes again, and rewrites its content with another
// transform. The output is
//
//	bytes    the parameters, as xzutils has them
//	uvarint  length of the decompressed content
//	bytes    the decompressed content, rewritten
type xzFile struct {
	content Transform // nil: the content stays as it is
}

// xzLimits bound what a target has in memory: the content, rewritten and not, and the encoder.
var xzLimits = xzutils.Limits{Content: maxContent / 2, Memory: xzMemory}

const (
	xzMemory = 24 << 20
	xzSlow   = 15 // 2 to 3 MB a second on a machine that patches 40
)

func (x xzFile) Name() string {
	if x.content == nil {
		return "xz"
	}
	return "xz+" + x.content.Name()
}

func (x xzFile) Forward(plain []byte) ([]byte, bool) {
	if len(plain) > maxContent {
		return nil, false
	}
	content, err := xzutils.Decompress(plain, xzLimits)
	if err != nil {
		return nil, false
	}
	p, ok := xzutils.Find(plain, content, xzLimits)
	if !ok {
		return nil, false
	}
	out := binary.AppendUvarint(p.Append(nil), uint64(len(content)))
	if x.content == nil {
		return append(out, content...), true
	}
	rewritten, ok := Exact(x.content, content)
	return append(out, rewritten...), ok
}

// certain: Forward finds the encoder by making the file again.
func (xzFile) certain() {}

// base gives the content of an old file, or an old file that is not compressed, rewritten. Nobody
// makes the old file again, so that it may be of any encoder.
func (x xzFile) base(plain []byte) ([]byte, Learnt, bool) {
	if isXZ(plain) {
		content, err := xzutils.Decompress(plain, xzLimits)
		if err != nil {
			return nil, nil, false
		}
		plain = content
	}
	if x.content == nil {
		return plain, nil, true
	}
	return Base(x.content, plain)
}

func (x xzFile) Inverse(out []byte, limit int64) ([]byte, error) {
	p, content, err := xzutils.Parse(out)
	if err != nil {
		return nil, errCorrupt
	}
	size, n := binary.Uvarint(content)
	if n <= 0 || size > uint64(xzLimits.Content) || p.Memory(int64(size)) > xzLimits.Memory {
		return nil, errCorrupt
	}
	content = content[n:]
	if x.content != nil {
		if content, err = x.content.Inverse(content, int64(size)); err != nil {
			return nil, err
		}
	}
	if uint64(len(content)) != size {
		return nil, errCorrupt
	}
	w := &limitedBuffer{limit: limit}
	if err := xzutils.Encode(w, content, p); err != nil {
		return nil, err
	}
	return w.b, nil
}

// isXZ tells whether b begins as a .xz file.
func isXZ(b []byte) bool { return len(b) > 6 && string(b[:6]) == "\xfd7zXZ\x00" }

// forXZ lists the transforms worth trying on a .xz file, by what its content begins with.
func forXZ(plain []byte) []uint8 {
	begin := xzutils.Begin(plain, elfHeaderSize, xzLimits)
	switch {
	case len(begin) == 0:
		return nil
	case !isELF(begin):
		return []uint8{idXZ}
	case le.Uint16(begin[16:]) == elfTypeRel:
		return []uint8{idXZModule, idXZ}
	}
	return []uint8{idXZProgram, idXZ}
}
