package transform

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// vmlinuzXZEncoderGolden is the hash of a new content, rewritten, with its step.
const vmlinuzXZEncoderGolden = "1640c05f1ee3444336eaad0c27a5e0fc87037c8d55769da99bf51458d858e53c"

// xzEncodingForm gives a pair of kernels, and what a patch makes of the new one.
func xzEncodingForm(t *testing.T) (old, plain, form []byte) {
	t.Helper()
	old = testVmlinuz(t, idVmlinuzXZ, 1, testKernel{late: true}.file())
	plain = testVmlinuz(t, idVmlinuzXZ, 2, testKernel{late: true, moved: true}.file())
	form, ok := registry[idVmlinuzXZEncoder].Forward(plain)
	usual, ok2 := registry[idVmlinuzXZ].Forward(plain)
	if !ok || !ok2 || !bytes.Equal(form, usual) {
		t.Fatal("it does not apply, or gives something else")
	}
	if form, ok = AddStep(registry[idVmlinuzXZEncoder], form, old, plain, nil); !ok {
		t.Fatal("there is no step")
	}
	return old, plain, form
}

// withStep gives a form another step.
func withStep(form, step []byte) []byte {
	tail := bytes.Clone(form[len(form)-vmlinuzTail:])
	rest := form[:len(form)-vmlinuzTail-int(le.Uint32(tail[8:]))]
	le.PutUint32(tail[8:], uint32(len(step)))
	return append(append(bytes.Clone(rest), step...), tail...)
}

func TestXZEncoding(t *testing.T) {
	old, plain, form := xzEncodingForm(t)
	if id, ok := Encoding(idVmlinuzXZ); !ok || id != idVmlinuzXZEncoder || !Stepped(id) {
		t.Errorf("the other way is %d, %v", id, ok)
	}
	if _, ok := Encoding(idVmlinuzXZEncoder); ok {
		t.Error("it has another way, too")
	}
	if sum := sha256.Sum256(form); hex.EncodeToString(sum[:]) != vmlinuzXZEncoderGolden {
		t.Errorf("another form: %x", sum)
	}
	const id, limit = idVmlinuzXZEncoder, maxContent
	if got, err := inverse(id, form, old, limit); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("another kernel: %v", err)
	}
	step := []byte{1 | 1<<4 | 1<<6, 8, 2*45 + 3, 0x14, 64, 0, 48, 0, 0}
	if !bytes.Equal(withStep(form, step), form) {
		t.Fatal("the step is another one")
	}
	for name, tt := range map[string]struct {
		at int
		to byte
	}{
		"a dictionary of 1.5 GiB": {1, 37},
		"no such finder":          {3, 0x15},
		"another search":          {4, 32},
		"another depth":           {6, 1},
		"no filter":               {0, 1 | 1<<6},
		"an unknown flag":         {0, 1 | 1<<4 | 1<<6 | 1<<7},
		"another check":           {0, 4 | 1<<4 | 1<<6},
	} {
		b := bytes.Clone(step)
		b[tt.at] = tt.to
		if got, err := inverse(id, withStep(form, b), old, limit); err == nil {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
	for name, b := range map[string][]byte{
		"none": nil, "a short one": step[:8], "a long one": append(bytes.Clone(step), 0),
	} {
		if got, err := inverse(id, withStep(form, b), old, limit); err == nil {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
	if got, err := inverse(id, form, old, int64(len(plain))-1); err == nil || len(got) > 0 {
		t.Error("the limit is exceeded")
	}
}

// TestXZEncodingOthers: a file of another encoder, and one whose encoder takes too much, have no
// step.
func TestXZEncodingOthers(t *testing.T) {
	old, plain, _ := xzEncodingForm(t)
	form, _ := registry[idVmlinuzXZEncoder].Forward(plain)
	begin, end, _ := packingOf(idVmlinuzXZ).find(plain)
	content, _, ok := packingOf(idVmlinuzXZ).unpack(plain[begin:], end-begin, false)
	if !ok {
		t.Fatal("it is not unpacked")
	}
	if memory := xzEncoderLimits.Memory; memory < 32<<23+1<<26+LargeMax || memory > 512<<20 {
		t.Errorf("%d bytes for an encoder", memory)
	}
	_, err := xzEncoding{}.makeStep(nil, plain[begin:end], content[:len(content)-1], nil)
	if err == nil {
		t.Error("a step to another content")
	}
	changed := bytes.Clone(plain)
	changed[end-20] ^= 1 // of the index
	if _, ok := AddStep(registry[idVmlinuzXZEncoder], form, old, changed, nil); ok {
		t.Error("a step to a damaged file")
	}
}

func TestXZEncodingMutated(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	old, plain, form := xzEncodingForm(t)
	for range rounds {
		limit := int64(len(plain) + rnd.IntN(3) - 1)
		got, _ := inverse(idVmlinuzXZEncoder, mutate(rnd, form), old, limit)
		if int64(len(got)) > limit {
			t.Fatalf("%d bytes, limit %d", len(got), limit)
		}
	}
}
