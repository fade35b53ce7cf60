package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"deltaup/delta/transform/gnuzip"
	"deltaup/delta/transform/lz4hc"
	"deltaup/mkimage"
)

// family is how a payload is compressed.
type family string

const (
	familyNone family = "none"
	familyGzip family = "gzip" // the deflate stream alone, without the member's header and trailer
	familyLZ4  family = "lz4"  // a legacy frame
)

// codec is an encoder with all of its parameters. What an id makes never changes.
type codec struct {
	id     string
	family family
	encode func(w io.Writer, plain io.Reader) error
}

// codecs are all of them. Those of a family are tried in this order.
var codecs = makeCodecs()

func makeCodecs() []codec {
	list := []codec{{"none.1", familyNone, func(w io.Writer, plain io.Reader) error {
		_, err := io.Copy(w, plain)
		return err
	}}}
	for _, level := range []int{9, 6, 8, 7, 5, 4, 3, 2, 1} {
		for family, name := range []string{gnuzip.GNU: "gnu", gnuzip.Zlib: "zlib"} {
			p := gnuzip.Params{Family: gnuzip.Family(family), Level: level}
			list = append(list, codec{fmt.Sprintf("gzip-%s-%d.1", name, level), familyGzip,
				func(w io.Writer, plain io.Reader) error { return gnuzip.EncodeFrom(w, plain, p) }})
		}
	}
	for _, level := range []int{9, 12, 10, 11, 3, 4, 5, 6, 7, 8} {
		list = append(list, codec{fmt.Sprintf("lz4-%d.1", level), familyLZ4,
			func(w io.Writer, plain io.Reader) error { return encodeLZ4(w, plain, level) }})
	}
	return list
}

func encodeLZ4(w io.Writer, plain io.Reader, level int) error {
	z, err := lz4hc.NewWriter(w, level)
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, plain); err != nil {
		return err
	}
	return z.Close()
}

// KnownCodec reports whether Build has the codec with this id.
func KnownCodec(id string) bool { return slices.ContainsFunc(codecs, isCodec(id)) }

func isCodec(id string) func(codec) bool { return func(c codec) bool { return c.id == id } }

// codecFor gives the codec with an id. Its errors wrap mkimage.ErrUnknownCodec.
func codecFor(id string) (*codec, error) {
	if i := slices.IndexFunc(codecs, isCodec(id)); i >= 0 {
		return &codecs[i], nil
	}
	return nil, fmt.Errorf("codec %.70q: %w", id, mkimage.ErrUnknownCodec)
}

// findCodec gives the id of the first codec of a family that makes stream out of the payload, which
// plain opens. Its errors wrap ErrUnsupported when there is none, or are those of plain and ctx.
func findCodec(ctx context.Context, f family, stream []byte,
	plain func() io.Reader) (id string, err error) {
	for _, c := range codecs {
		if c.family != f {
			continue
		}
		w := &comparer{ctx: ctx, want: stream}
		switch err := c.encode(w, plain()); {
		case err == nil && len(w.want) == 0:
			return c.id, nil
		case err != nil && !errors.Is(err, errDiffers):
			return "", err
		}
	}
	return "", unsupported("no %s encoder known here makes its payload again", f)
}

var errDiffers = errors.New("bytes differ")

// comparer accepts the bytes that it wants and fails at the first one that differs.
type comparer struct {
	ctx  context.Context
	want []byte
}

func (c *comparer) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(c.want, p) {
		return 0, errDiffers
	}
	c.want = c.want[len(p):]
	return len(p), nil
}
