package device

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"deltaup/chunkstore"
)

func TestSums(t *testing.T) {
	for _, size := range []int{0, 1, sumBlock - 1, sumBlock, sumBlock + 1, 3*sumBlock + 4096} {
		image := bytes.Repeat([]byte("deltaup"), size/7+1)[:size]
		whole, parts := newSummer(), newSummer()
		whole.seen([]byte("an attempt that was given up"), 0)
		whole.seen(image, 0)
		for off := 0; off < size; off += 1000 {
			parts.Write(image[off:min(off+1000, size)])
		}
		s := whole.done()
		if size > 0 && s.differs(parts.done()) || len(s.keys) != (size+sumBlock-1)/sumBlock {
			t.Errorf("%d bytes: %d keys, in parts %d", size, len(s.keys), len(parts.keys))
		}
		parsed, err := parseSums(s.marshal(), int64(size))
		if err != nil || parsed.differs(s) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestSumsRefused(t *testing.T) {
	s := newSummer()
	s.Write(make([]byte, sumBlock+1))
	whole := s.done().marshal()
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 1
		want := chunkstore.ErrCorrupt
		if 8 <= i && i < 12 {
			want = chunkstore.ErrVersion
		}
		if _, err := parseSums(damaged, sumBlock+1); !errors.Is(err, want) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	for what, b := range map[string][]byte{"empty": nil, "cut": whole[:len(whole)-1], "longer": append(bytes.Clone(whole), 0)} {
		if _, err := parseSums(b, sumBlock+1); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := parseSums(whole, sumBlock+2); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("another size: %v", err)
	}
}

func FuzzSums(f *testing.F) {
	s := newSummer()
	s.Write(make([]byte, sumBlock+1))
	b := s.done().marshal()
	f.Add(b[:len(b)-32])
	f.Fuzz(func(t *testing.T, b []byte) {
		id := chunkstore.Sum(b) // else nothing gets behind the hash
		b = append(b, id[:]...)
		s, err := parseSums(b, sumBlock+1)
		if err == nil && !bytes.Equal(s.marshal(), b) {
			t.Fatal("it is another one after encoding")
		}
	})
}

// TestCompare: what cannot be read is told as such, what is wrong beside it as well, and nothing
// twice.
func TestCompare(t *testing.T) {
	image := make([]byte, 5*sumBlock+100)
	kept := sumsOf(image)
	for _, at := range []int{0, sumBlock, 4 * sumBlock, 5*sumBlock + 99} {
		image[at] = 1
	}
	d := Damage{Ranges: []BadRange{{4096, 4096, "EIO"}, {2*sumBlock - 4096, 8192, "EIO"}}}
	clear(image[4096:8192])
	// what a failed read gave would be zero, and is not in an image that had something there
	image[2*sumBlock] = 9
	d.compare(kept, sumsOf(image))
	want := []BadRange{{4096, 4096, "EIO"}, {2*sumBlock - 4096, 8192, "EIO"}, {4 * sumBlock, sumBlock + 100, ""}}
	if !reflect.DeepEqual(d.Ranges, want) || d.Count != 3 || d.Bytes != 4096+8192+sumBlock+100 {
		t.Errorf("got %+v", d)
	}
}

func sumsOf(image []byte) *sums {
	s := newSummer()
	s.Write(image)
	return s.done()
}

func FuzzScrubs(f *testing.F) {
	f.Add([]byte(`{"format":1,"slots":{"a":{"image":"-","order":1,"time":"2026-01-02T03:04:05Z","complete":true,"damage":[{"what":"image","path":"/x","bytes":1,"count":1,"ranges":[{"offset":0,"length":1}]}]}}}`))
	f.Add([]byte(`{"format":1,"slots":{"a":{"damage":[{"count":1}]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseScrubs(b)
		if err != nil {
			if !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
				t.Errorf("error %v", err)
			}
			return
		}
		for name, r := range s.Slots {
			s.damaged(name, &Record{Whole: true})
			for i := range r.Damage {
				_ = r.Damage[i].String()
			}
		}
	})
}
