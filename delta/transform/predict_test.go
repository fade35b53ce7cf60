package transform

import (
	"bytes"
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

// shift moves everything by so many bytes.
type shift int64

func (s shift) Find(old int64) (int64, bool) { return old + int64(s), old%2 == 0 }

// FuzzPredict predicts in any bytes of any layout. Every byte must come to correct once, in order,
// and the same twice.
func FuzzPredict(f *testing.F) {
	code := []byte{0xe8, 1, 2, 0, 0, 0x48, 0x8d, 0x05, 9, 0, 0, 0, 0x0f, 0x84, 4, 0, 0, 0}
	for kind := range uint8(KindsEnd) {
		f.Add(code, kind, int64(0), uint64(0), uint64(4096), int64(8), int64(100))
	}
	f.Add([]byte{20, 0, 0, 0, 24, 0, 0, 0, 16, 0xf0, 0xff, 0xff, 9, 0, 0, 0, 4, 1, 2, 3, 4},
		uint8(holdsEHFrame), int64(100), uint64(4096), uint64(400), int64(8), int64(120))
	f.Fuzz(func(t *testing.T, b []byte, kind uint8, offset int64, addr, size uint64, by, old int64) {
		if len(b) > 1<<12 || kind >= KindsEnd {
			return
		}
		from := Layout{{holdsX86, 0, 0, 1000}, {kind, offset, addr, size}, {holdsNone, 5000, 6000, 7000}}
		to := Layout{{holdsX86, 0, 500, 1000}, {kind, offset + by, addr - uint64(by), size}, {holdsNone, 5000, 6000, 7000}}
		var first []byte
		for n := range 2 {
			p, got := bytes.Clone(b), []byte(nil)
			newPredictor(from, to, shift(by), 1<<6, 1<<4).Predict(p, old+by, old, func(part []byte) {
				if len(part) > 0 && &part[0] != &p[len(got)] {
					t.Fatalf("a part that does not follow %d bytes", len(got))
				}
				got = append(got, part...)
			})
			if len(got) != len(b) {
				t.Fatalf("%d of %d bytes", len(got), len(b))
			}
			if n == 0 {
				first = got
			} else if !bytes.Equal(got, first) {
				t.Fatalf("%x, then %x", first, got)
			}
		}
	})
}

func TestPredict(t *testing.T) {
	from := Layout{{holdsX86, 0x1000, 0x2000, 0x1000}, {holdsNone, noFile, 0x8000, 0x1000}}
	to := Layout{{holdsX86, 0x1100, 0x2100, 0x1000}, {holdsNone, noFile, 0x8200, 0x1000}}
	var code, want []byte
	call := func(b []byte, at, target uint32) []byte {
		return le.AppendUint32(append(b, 0xe8), target-at-5)
	}
	code = call(code, 0x2000, 0x2040)
	want = call(want, 0x2108, 0x2148) // 8 bytes and the section's own 0x100 farther
	code = call(code, 0x2005, 0x8040)
	want = call(want, 0x210d, 0x8240)
	got := bytes.Clone(code)
	NewPredictor(from, to, shift(0x108)).Predict(got, 0x1108, 0x1000, func([]byte) {})
	if !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// TestPredictGolden freezes what is predicted in bytes of each kind.
func TestPredictGolden(t *testing.T) {
	want := [KindsEnd]uint32{0x6581af2, 0xe4a0ac7b, 0x9c12ecab, 0xa3414dc, 0x687be290}
	r := rand.New(rand.NewPCG(1, 2))
	for kind := range uint8(KindsEnd) {
		from := Layout{{holdsX86, 0, 0x10000, 0x8000}, {kind, 0x8000, 0x18000, 0x8000}, {holdsNone, noFile, 0x20000, 0x8000}}
		to := Layout{{holdsX86, 0, 0x11000, 0x8000}, {kind, 0x8000, 0x19000, 0x8000}, {holdsNone, noFile, 0x21000, 0x8000}}
		b := make([]byte, 0, 0x8000)
		for len(b) < 0x8000-40 {
			addr := 0x18000 + uint32(len(b))
			to := 0x10000 + r.Uint32N(0x18000)
			switch kind {
			case holdsX86:
				b = le.AppendUint32(append(b, 0xe8), to-addr-5)
			case holdsPointers:
				b = le.AppendUint64(b, uint64(to))
			case holdsEHFrame:
				b = le.AppendUint32(b, 28)
				b = le.AppendUint32(b, uint32(len(b)))
				b = le.AppendUint32(b, 0x10000+to&0x7fff-addr-8)
				b = append(b, 1, 2, 3, 4, 4)
				b = le.AppendUint32(b, to-addr-17)
				b = append(b, make([]byte, 11)...)
			default:
				b = le.AppendUint32(b, to-0x18000)
			}
		}
		h := crc32.NewIEEE()
		n := 0
		NewPredictor(from, to, shift(0x10)).Predict(b, 0x8010, 0x8000, func(part []byte) {
			if n++; n%5 == 0 && len(part) > 0 {
				part[len(part)-1]++
			}
			h.Write(part)
		})
		if kind != holdsNone && n < 500 {
			t.Errorf("kind %d: %d addresses", kind, n)
		}
		if got := h.Sum32(); got != want[kind] {
			t.Errorf("kind %d: %#x, want %#x", kind, got, want[kind])
		}
	}
}
