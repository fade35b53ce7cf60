package proof

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"deltaup/chunkstore"
)

func TestReader(t *testing.T) {
	const text = "the content of a file"
	failure := errors.New("cable pulled")
	damaged := iotest.ErrReader(fmt.Errorf("source: %w", &chunkstore.Mismatch{GotSize: 1}))
	c := &chunkstore.Content{ID: chunkstore.Sum([]byte(text)), Size: int64(len(text))}
	var r Reader
	for _, tt := range []struct {
		name string
		in   io.Reader
		is   error
		want string // part of the error
	}{
		{"the content", strings.NewReader(text), nil, ""},
		{"byte by byte", iotest.OneByteReader(strings.NewReader(text)), nil, ""},
		{"end with the last bytes", iotest.DataErrReader(strings.NewReader(text)), nil, ""},
		{"other bytes", strings.NewReader(strings.ToUpper(text)), ErrContent, "other bytes"},
		{"shorter", strings.NewReader(text[1:]), ErrContent, "shorter"},
		{"empty", strings.NewReader(""), ErrContent, "shorter"},
		{"longer", strings.NewReader(text + "."), ErrContent, "longer"},
		{"cut off, as the source says", cutOff(text[:5]), ErrContent, "shorter"},
		{"damaged, as the source says", damaged, chunkstore.ErrCorrupt, "source"},
		{"error within", io.MultiReader(strings.NewReader(text[:5]), iotest.ErrReader(failure)), failure, ""},
		{"error at the end", io.MultiReader(strings.NewReader(text), iotest.ErrReader(failure)), failure, ""},
	} {
		r.Open(tt.in, c) // it has read the case before
		_, err := io.ReadFull(&r, make([]byte, 4))
		if err == nil {
			_, err = io.ReadFull(&r, make([]byte, len(text)-4))
		}
		switch {
		case tt.is == nil && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.is != nil && (!errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: error %v", tt.name, err)
		case tt.is != ErrContent && errors.Is(err, ErrContent):
			t.Errorf("%s: the source's error is taken for another content: %v", tt.name, err)
		}
	}
}

// cutOff reads text and then says that there should be more.
func cutOff(text string) io.Reader {
	return io.MultiReader(strings.NewReader(text), iotest.ErrReader(fmt.Errorf("%w in the middle", io.ErrUnexpectedEOF)))
}
