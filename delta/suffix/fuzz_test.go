package suffix

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
)

// diff makes a patch from old to new; both may be empty.
func diff(old, new []byte) Streams { return NewIndex(old, 0).Search(new).Diff(ProgramGain) }

// FuzzPatch demands that any streams give an error or exactly the size asked for.
func FuzzPatch(f *testing.F) {
	old := bytes.Repeat([]byte("what the old content holds, "), 20)
	for _, new := range [][]byte{nil, old, append([]byte("new"), old[7:]...), bytes.ReplaceAll(old, []byte("old"), []byte("very new"))} {
		s := diff(old, new)
		f.Add(joinStreams(s), uint16(len(new)))
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint16) {
		s := splitStreams(b)
		got, err := Patch(nil, bytes.NewReader(old), int64(len(old)), s, int64(size))
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if len(got) != int(size) {
			t.Fatalf("%d bytes instead of %d", len(got), size)
		}
		// A patch that can be applied alone can be read from joined streams twice.
		double := splitStreams(b)
		double.Append(&s)
		r := NewReader(double)
		for range 2 {
			if one, err := r.Next(int64(len(old)), int64(size)); err != nil || !bytes.Equal(joinStreams(one), joinStreams(s)) {
				t.Fatalf("joined with itself: %v", err)
			}
		}
		if err := r.Done(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzDiff demands that any two contents give a patch from one to the other.
func FuzzDiff(f *testing.F) {
	f.Add([]byte("abcabcabcabcabcabc abracadabra"), []byte("abcabcabcXabcabcabc abracadabra!"), uint8(8))
	f.Add([]byte{}, []byte{1}, uint8(0))
	f.Fuzz(func(t *testing.T, old, new []byte, gain uint8) {
		s := NewIndex(old, 0).Search(new).Diff(int(gain))
		got, err := Patch(nil, bytes.NewReader(old), int64(len(old)), s, int64(len(new)))
		if err != nil || !bytes.Equal(got, new) {
			t.Fatalf("patch from %x gives %x instead of %x: %v", old, got, new, err)
		}
	})
}

// joinStreams and splitStreams turn streams into one input and back.
func joinStreams(s Streams) (b []byte) {
	for _, p := range s {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

func splitStreams(b []byte) (s Streams) {
	for i := range s {
		n, used := binary.Uvarint(b)
		if used <= 0 {
			return s
		}
		b = b[used:]
		n = min(n, uint64(len(b)))
		s[i], b = b[:n:n], b[n:]
	}
	return s
}

func TestLimits(t *testing.T) {
	r := NewReader(Streams{})
	if _, err := r.Next(10, NewMax+1); !errors.Is(err, ErrCorrupt) {
		t.Errorf("more than NewMax bytes: %v", err)
	}
	s := diff([]byte("0123456789abcdef"), []byte("0123456789abcdefX"))
	for i := range s {
		for n := range s[i] {
			bad := s
			bad[i] = s[i][:n]
			if _, err := Patch(nil, bytes.NewReader([]byte("0123456789abcdef")), 16, bad, 17); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s cut to %d bytes: %v", StreamNames[i], n, err)
			}
		}
	}
	if _, err := Patch(nil, bytes.NewReader(nil), 15, s, 17); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a shorter old content: %v", err)
	}
	if _, err := Patch(nil, bytes.NewReader(nil), 16, s, 17); err == nil || errors.Is(err, ErrCorrupt) {
		t.Errorf("an old content that cannot be read: %v", err)
	}
}

// program gives bytes that resemble machine code, and a version in which addresses moved.
func program(n int) (old, new []byte) {
	r := rand.New(rand.NewPCG(9, 9))
	old = random(r, n, 64)
	new = bytes.Clone(old)
	for i := 100; i+4 < n; i += 20 + r.IntN(60) {
		binary.LittleEndian.PutUint32(new[i:], binary.LittleEndian.Uint32(new[i:])+0x40)
	}
	return old, append(new[:n/2:n/2], append(random(r, 500, 64), new[n/2:]...)...)
}

func BenchmarkIndex(b *testing.B) {
	old, _ := program(4 << 20)
	b.SetBytes(int64(len(old)))
	for b.Loop() {
		NewIndex(old, 0)
	}
}

func BenchmarkDiff(b *testing.B) {
	old, new := program(4 << 20)
	x := NewIndex(old, 0)
	b.SetBytes(int64(len(new)))
	for b.Loop() {
		s := x.Search(new).Diff(ProgramGain)
		b.ReportMetric(float64(s.Len()), "patch-bytes")
	}
}

func BenchmarkPatch(b *testing.B) {
	old, new := program(4 << 20)
	s := diff(old, new)
	b.SetBytes(int64(len(new)))
	for b.Loop() {
		if _, err := Patch(nil, bytes.NewReader(old), int64(len(old)), s, int64(len(new))); err != nil {
			b.Fatal(err)
		}
	}
}
