package chunkstore

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// abcID is the BLAKE3 of "abc" as b3sum prints it.
const abcID = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"

func TestSum(t *testing.T) {
	if got := Sum([]byte("abc")).String(); got != abcID {
		t.Errorf("Sum(abc) = %s, want %s", got, abcID)
	}
}

// TestHasherGoesOn checks what Splitter relies on: ID changes nothing for later writes, wherever
// the block boundaries of BLAKE3 fall.
func TestHasherGoesOn(t *testing.T) {
	data := randomBytes(1, 200<<10)
	h := NewHasher()
	for _, first := range []int{0, 1, 63, 64, 65, 1023, 1024, 1025, 8191, 8192, 8193, 9216, 16 << 10, 17<<10 + 1, 100_000} {
		for _, second := range []int{1, 64, 1024, 8192, 70_000} {
			h.Reset()
			h.Write(data[:first])
			if h.ID() != Sum(data[:first]) {
				t.Fatalf("id after %d bytes is wrong", first)
			}
			h.Write(data[first : first+second])
			if h.ID() != Sum(data[:first+second]) {
				t.Fatalf("id after %d and %d bytes is wrong", first, second)
			}
		}
	}
}

func TestParseID(t *testing.T) {
	id, err := ParseID(abcID)
	if err != nil || id != Sum([]byte("abc")) {
		t.Fatalf("ParseID(%s) = %s, %v", abcID, id, err)
	}
	for _, s := range []string{"", "-", abcID[1:], abcID + "0", strings.ToUpper(abcID), abcID[:63] + "g", " " + abcID[1:], "0x" + abcID[2:]} {
		if _, err := ParseID(s); !errors.Is(err, ErrCorrupt) {
			t.Errorf("ParseID(%q): %v, want ErrCorrupt", s, err)
		}
	}
}

func TestIDText(t *testing.T) {
	type object struct{ Chunk, Hole ID }
	want := object{Chunk: Sum([]byte("abc"))}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if text := `{"Chunk":"` + abcID + `","Hole":"-"}`; string(b) != text {
		t.Fatalf("got %s, want %s", b, text)
	}
	var got object
	if err := json.Unmarshal(b, &got); err != nil || got != want {
		t.Fatalf("read back %v, %v", got, err)
	}
	for _, text := range []string{"", "--", strings.Repeat("0", 64)} {
		if err := got.Chunk.UnmarshalText([]byte(text)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("UnmarshalText(%q): %v, want ErrCorrupt", text, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(abcID)
	f.Add(strings.ToUpper(abcID))
	f.Add(abcID[:63])
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("an error that is not ErrCorrupt: %v", err)
			}
			return
		}
		if id.String() != s {
			t.Fatalf("ParseID(%q) is %s", s, id)
		}
	})
}
