package proof

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"deltaup/chunkstore"
)

func TestReader(t *testing.T) {
	const text = "the content of a file"
	failure := errors.New("cable pulled")
	c := &chunkstore.Content{ID: chunkstore.Sum([]byte(text)), Size: int64(len(text))}
	h := chunkstore.NewHasher()
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
		{"error within", io.MultiReader(strings.NewReader(text[:5]), iotest.ErrReader(failure)), failure, ""},
		{"error at the end", io.MultiReader(strings.NewReader(text), iotest.ErrReader(failure)), failure, ""},
	} {
		r := NewReader(tt.in, c, h) // the hasher still has the bytes of the case before
		err := r.Fill(make([]byte, 4))
		if err == nil {
			err = r.Fill(make([]byte, len(text)-4))
		}
		if err == nil {
			err = r.Verify()
		}
		switch {
		case tt.is == nil && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.is != nil && (!errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: error %v", tt.name, err)
		case tt.is == failure && errors.Is(err, ErrContent):
			t.Errorf("%s: the source's error is taken for another content: %v", tt.name, err)
		}
	}
}
