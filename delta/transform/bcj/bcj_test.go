package bcj

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// calls is bytes with calls and jumps near each other and far.
func calls(size int) (b []byte) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for len(b) < size {
		for range rnd.IntN(8) {
			b = append(b, byte(rnd.IntN(256)))
		}
		b = append(b, 0xe8+byte(rnd.IntN(2)), byte(rnd.IntN(256)), byte(rnd.IntN(256)),
			byte(rnd.IntN(2)), -byte(rnd.IntN(2)))
	}
	return b
}

// TestEncode has bytes that the real xz --x86 --lzma2 gives to its next filter.
func TestEncode(t *testing.T) {
	for plain, want := range map[string]string{
		"":                       "",
		"e8000000":               "e8000000",
		"e800000000":             "e805000000",
		"90e8fbffffff":           "90e801000000",
		"e810000000e910000000":   "e815000000e91a000000",
		"e8e8e8e8e8000000000000": "e8e8eee8e8000000000000",
		"e800000001e800000000":   "e800000001e80a000000",
	} {
		b, err := hex.DecodeString(plain)
		if err != nil {
			t.Fatal(err)
		}
		if Encode(b); hex.EncodeToString(b) != want {
			t.Errorf("%s becomes %x, not %s", plain, b, want)
		}
	}
}

// FuzzFilter takes back what an encoder did.
func FuzzFilter(f *testing.F) {
	f.Add([]byte{})
	f.Add(calls(20_000))
	f.Fuzz(func(t *testing.T, plain []byte) {
		b := bytes.Clone(plain)
		Encode(b)
		if Decode(b); !bytes.Equal(b, plain) {
			t.Error("other bytes come back")
		}
	})
}
