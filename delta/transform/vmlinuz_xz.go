package transform

import (
	"io"

	"deltaup/delta/transform/xzutils"
)

// xzEncoding is the payload of xzPacking, for who has the memory to run its encoder again. Its step
// is the encoder's parameters, as xzutils has them. It takes nothing of the old packed payload.
type xzEncoding struct{ xzPacking }

const (
	// xzEncoderMemory is what the encoder takes with the dictionary of 32 MiB that the build of the
	// kernel takes, for a content of LargeMax bytes.
	xzEncoderMemory = 388 << 20
	xzEncoderSlow   = 18
)

var xzEncoderLimits = xzutils.Limits{Content: LargeMax, Memory: xzEncoderMemory}

func (xzEncoding) name() string   { return "vmlinuz-xz-encoder" }
func (xzEncoding) effort() Effort { return Effort{xzEncoderMemory, xzEncoderSlow} }

// unpack keeps no parse.
func (p xzEncoding) unpack(b []byte, n int, _ bool) ([]byte, Learnt, bool) {
	return p.xzPacking.unpack(b, n, false)
}

func (xzEncoding) makeStep(_, packed, plain []byte, _ []Copy) ([]byte, error) {
	p, ok := xzutils.Find(packed, plain, xzEncoderLimits)
	if !ok {
		return nil, errDiffers
	}
	return p.Append(nil), nil
}

func (xzEncoding) applyStep(w io.Writer, _ Learnt, _ *io.SectionReader, step, plain []byte,
	most int) (int, error) {
	p, rest, err := xzutils.Parse(step)
	if err != nil || len(rest) > 0 || p.Memory(int64(len(plain))) > xzEncoderMemory {
		return 0, errCorrupt
	}
	out := &bounded{w: w, most: most}
	err = xzutils.Encode(out, plain, p)
	return out.n, err
}

// Encoding gives the transform that gives the same as one with Stepped but for its step, which runs
// the encoder again. That takes few bytes, and more memory than most targets have. ok is false when
// there is none.
func Encoding(id uint8) (other uint8, ok bool) {
	if id == idVmlinuzXZ {
		return idVmlinuzXZEncoder, true
	}
	return 0, false
}
