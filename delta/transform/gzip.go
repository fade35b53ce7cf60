package transform

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"deltaup/delta/transform/gnuzip"
)

// gzipMember unpacks a file that is one gzip member (RFC 1952), if GNU gzip or zlib makes its
// compressed bytes again. The output is
//
//	byte     encoder: family << 4 | level
//	uvarint  length of the member's header
//	bytes    the header as it is
//	bytes    the decompressed content
//
// The trailer follows from the content.
type gzipMember struct {
	// anyBase: what becomes of an old file has the encoder that its header hints at. Nobody makes
	// the old file again, so that it may be of any encoder, and a target need not search for it.
	anyBase bool
}

// certain: Forward finds the encoder by making the stream again.
func (gzipMember) certain() {}

func (g gzipMember) Name() string {
	if g.anyBase {
		return "gzip+any"
	}
	return "gzip"
}

const (
	gzipTrailer    = 8
	gzipFixed      = 10
	gzipHeaderMax  = 64 << 10
	gzipMaxContent = maxContent // decompressed bytes
	deflateMost    = 1032       // deflate decompresses one byte to no more bytes
)

func (gzipMember) Forward(plain []byte) ([]byte, bool) {
	out, header, content, ok := unpackGzip(plain)
	if !ok {
		return nil, false
	}
	p, ok := gzipParams(header, plain[len(header):len(plain)-gzipTrailer], content)
	out[0] = gzipEncoder(p)
	return out, ok
}

func (g gzipMember) base(old []byte) (out []byte, _ Learnt, ok bool) {
	if !g.anyBase {
		out, ok = g.Forward(old)
		return out, nil, ok
	}
	out, header, _, ok := unpackGzip(old)
	if ok {
		out[0] = gzipEncoder(gnuzip.Params{Family: gnuzip.GNU, Level: likelyLevels(header)[0]})
	}
	return out, nil, ok
}

// unpackGzip gives a member rewritten, but for the encoder, and the header and the content in it.
func unpackGzip(plain []byte) (out, header, content []byte, ok bool) {
	headerLen, ok := gzipHeader(plain)
	if !ok || len(plain) > maxContent {
		return nil, nil, nil, false
	}
	body := bytes.NewReader(plain[headerLen : len(plain)-gzipTrailer])
	size := int64(binary.LittleEndian.Uint32(plain[len(plain)-4:]))
	if size > min(gzipMaxContent, deflateMost*int64(len(plain))) {
		return nil, nil, nil, false
	}
	out = make([]byte, 1, 1+binary.MaxVarintLen64+int64(headerLen)+size)
	out = binary.AppendUvarint(out, uint64(headerLen))
	out = append(out, plain[:headerLen]...)
	header = out[len(out)-headerLen:]
	content = out[len(out) : len(out)+int(size)]
	unpack := flate.NewReader(body)
	if _, err := io.ReadFull(unpack, content); err != nil {
		return nil, nil, nil, false
	}
	if n, err := unpack.Read(make([]byte, 1)); n > 0 || err != io.EOF || body.Len() > 0 {
		return nil, nil, nil, false
	}
	out = out[:len(out)+len(content)]
	if !bytes.Equal(gzipTrail(nil, content), plain[len(plain)-gzipTrailer:]) {
		return nil, nil, nil, false
	}
	return out, header, content, true
}

func (gzipMember) Inverse(out []byte, limit int64) ([]byte, error) {
	if len(out) < 2 {
		return nil, errCorrupt
	}
	p, ok := gzipEncoderOf(out[0])
	headerLen, n := binary.Uvarint(out[1:])
	if !ok || n <= 0 || headerLen > gzipHeaderMax || headerLen > uint64(len(out)-1-n) {
		return nil, errCorrupt
	}
	header, content := out[1+n:1+n+int(headerLen)], out[1+n+int(headerLen):]
	w := &limitedBuffer{limit: limit - gzipTrailer}
	w.b = append(
		make([]byte, 0, max(headerLen, min(uint64(max(limit, 0)), uint64(len(out))))),
		header...)
	if err := gnuzip.Encode(w, content, p); err != nil {
		return nil, err
	}
	if int64(len(w.b)) > w.limit {
		return nil, errTooLong
	}
	return gzipTrail(w.b, content), nil
}

// gzipEncoder is the byte that tells an encoder.
func gzipEncoder(p gnuzip.Params) byte { return byte(p.Family)<<4 | byte(p.Level) }

func gzipEncoderOf(b byte) (p gnuzip.Params, ok bool) {
	p = gnuzip.Params{Family: gnuzip.Family(b >> 4), Level: int(b & 15)}
	return p, p.Valid()
}

// gzipTrail appends the trailer of a member with this content.
func gzipTrail(b, content []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(content))
	return binary.LittleEndian.AppendUint32(b, uint32(len(content)))
}

// gzipHeader gives the length of the header at the beginning of b.
func gzipHeader(b []byte) (int, bool) {
	if len(b) < gzipFixed+gzipTrailer || b[0] != 0x1f || b[1] != 0x8b || b[2] != 8 {
		return 0, false
	}
	const hcrc, extra, name, comment = 2, 4, 8, 16
	flags, at := b[3], gzipFixed
	if flags&extra != 0 {
		at += 2 + int(binary.LittleEndian.Uint16(b[at:]))
	}
	for _, text := range []byte{name, comment} {
		if flags&text == 0 {
			continue
		}
		if at > len(b) {
			return 0, false
		}
		n := bytes.IndexByte(b[at:], 0)
		if n < 0 {
			return 0, false
		}
		at += n + 1
	}
	if flags&hcrc != 0 {
		at += 2
	}
	return at, at <= len(b)-gzipTrailer && at <= gzipHeaderMax
}

// gzipParams finds the encoder that makes stream out of content. It tries likely ones first.
func gzipParams(header, stream, content []byte) (gnuzip.Params, bool) {
	for _, level := range likelyLevels(header) {
		for _, family := range []gnuzip.Family{gnuzip.GNU, gnuzip.Zlib} {
			p := gnuzip.Params{Family: family, Level: level}
			w := &comparer{want: stream}
			if gnuzip.Encode(w, content, p) == nil && len(w.want) == 0 {
				return p, true
			}
		}
	}
	return gnuzip.Params{}, false
}

// likelyLevels lists the levels that a header permits, the likeliest first.
func likelyLevels(header []byte) []int {
	switch header[8] { // XFL
	case 2:
		return []int{9}
	case 4:
		return []int{1}
	}
	return []int{6, 9, 5, 7, 8, 4, 3, 2, 1}
}

var errDiffers = errors.New("bytes differ")

// comparer accepts the bytes that it wants and fails at the first byte that differs.
type comparer struct{ want []byte }

func (c *comparer) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(c.want, p) {
		return 0, errDiffers
	}
	c.want = c.want[len(p):]
	return len(p), nil
}

// limitedBuffer accepts up to limit bytes.
type limitedBuffer struct {
	b     []byte
	limit int64
}

func (l *limitedBuffer) Write(p []byte) (int, error) {
	if int64(len(l.b)+len(p)) > l.limit {
		return 0, errTooLong
	}
	l.b = append(l.b, p...)
	return len(p), nil
}
