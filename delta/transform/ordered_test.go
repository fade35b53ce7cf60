package transform

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"
)

// orderedStep is a module of two builds, and the transform that knows the old one.
func orderedStep(t testing.TB) (base, new []byte, after Transform) {
	t.Helper()
	old, new, s := moduleStep(t)
	shifted, ok := Shifted(registry[idOrdered], s)
	if !ok {
		t.Fatal("no shifts are taken")
	}
	base, learnt, ok := Base(shifted, old)
	if !ok || !bytes.Equal(old, splitModule(95000, 1700000, false)) {
		t.Fatal("Base does not apply, or changes the old content")
	}
	return base, new, After(shifted, learnt)
}

// TestOrdered demands that types whose order alone has changed are equal once they are rewritten.
func TestOrdered(t *testing.T) {
	base, new, after := orderedStep(t)
	out, ok := Exact(after, new)
	if !ok {
		t.Fatal("Forward does not apply")
	}
	if a, b := types(t, base), types(t, out); !slices.Equal(a, b) {
		t.Errorf("types\n%x\nand\n%x", a, b)
	}
	added := len(out) - len(base)
	if added < 1 || added > 10 || base[len(base)-1] != 0 {
		t.Errorf("the order of 82 types takes %d bytes", added)
	}
	if sum := sha256.Sum256(out); hex.EncodeToString(sum[:]) != golden["ordered step"] {
		t.Errorf("another hash: %x", sum)
	}
	// Another old content gives another order, or none.
	if back, err := After(after, nil).Inverse(bytes.Clone(out), int64(len(new))); err == nil && bytes.Equal(back, new) {
		t.Error("the old content is of no use")
	}
	large, learnt, ok := LearnBase(registry[idOrdered], append(make([]byte, 0, len(new)+LargeRoom), new...))
	if !ok {
		t.Fatal("LearnBase does not apply")
	}
	// The order of the old content needs no byte.
	same, ok := Exact(After(registry[idOrdered], learnt), new)
	if !ok || !bytes.Equal(same, large) {
		t.Error("the old order is coded")
	}
}

// TestOrderedAfter: a .xz file passes on what was learnt, other transforms learn nothing.
func TestOrderedAfter(t *testing.T) {
	got := After(registry[idXZOrdered], []uint32{1}).(xzFile).content.(*ordered)
	if !slices.Equal(got.old, []uint32{1}) || registry[idXZOrdered].(xzFile).content.(*ordered).old != nil {
		t.Errorf("learnt %v", got.old)
	}
	for _, id := range []uint8{idXZ, idModule} {
		if After(registry[id], []uint32{1}) != registry[id] {
			t.Errorf("%s has learnt something", registry[id].Name())
		}
	}
}

// FuzzOrdered takes a module rewritten by anybody, with the old one known.
func FuzzOrdered(f *testing.F) {
	base, new, after := orderedStep(f)
	out, _ := after.Forward(new)
	f.Add(out)
	f.Add(base)
	f.Fuzz(func(t *testing.T, out []byte) { checkInverse(t, after, out, 1<<20) })
}

// TestOrderedMutated is TestMutated with the old content known.
func TestOrderedMutated(t *testing.T) {
	_, new, after := orderedStep(t)
	good, _ := after.Forward(new)
	rnd := rand.New(rand.NewPCG(3, 4))
	exact := 0
	for range 500 {
		changed := mutate(rnd, new)
		if out, ok := Exact(after, changed); ok {
			exact++
			if back, err := after.Inverse(out, maxContent); err != nil || !bytes.Equal(back, changed) {
				t.Fatalf("other bytes come back: %v", err)
			}
		}
		checkInverse(t, after, mutate(rnd, good), int64(len(new)))
	}
	if exact < 100 {
		t.Errorf("%d of 500 are rewritten", exact)
	}
}

// TestOrderLength cuts off the order that was appended, of any length, and refuses what was not.
func TestOrderLength(t *testing.T) {
	file := []byte("file")
	for _, n := range []int{0, 1, 0x7f, 0x80, 0x1234, orderCodedMax - 1} {
		a := btfOrder{coded: bytes.Repeat([]byte{7}, n)}
		var b btfOrder
		got, ok := b.cut(a.append(bytes.Clone(file)))
		if !ok || !bytes.Equal(got, file) || !bytes.Equal(a.coded, b.coded) {
			t.Errorf("%d bytes: %v, %q, %d bytes", n, ok, got, len(b.coded))
		}
	}
	for _, b := range [][]byte{nil, {0}, {1, 2}, {0x81}, {1, 0, 0xff}} {
		if _, ok := new(btfOrder).cut(b); ok {
			t.Errorf("%x is taken", b)
		}
	}
}

// TestOrderCoder reads the orders that were written, of things in blocks that moved, of any things
// and of names.
func TestOrderCoder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	all := sha256.New()
	for range 300 {
		n := 1 + rnd.IntN(300)
		kinds := make([]byte, n)
		for i := range kinds {
			kinds[i] = byte(rnd.IntN(orderOther + 1))
		}
		blocks, names := rnd.Perm(n), rnd.Perm(1+rnd.IntN(20))
		if at := rnd.IntN(n); n%2 == 0 { // some things move, in a row
			slices.Sort(blocks)
			blocks = append(blocks[at:], blocks[:at]...)
		}
		w := newOrderCoder(nil, true)
		if !w.order(kinds, slices.Clone(blocks)) || !w.order(nil, slices.Clone(names)) {
			t.Fatal("not written")
		}
		b := w.finish()
		all.Write(b)
		r := newOrderCoder(b, false)
		got, gotNames := make([]int, n), make([]int, len(names))
		if !r.order(kinds, got) || !r.order(nil, gotNames) || !slices.Equal(got, blocks) || !slices.Equal(gotNames, names) {
			t.Fatalf("%v\n%v instead of\n%v\n%v", got, gotNames, blocks, names)
		}
		if r = newOrderCoder(append(b[:len(b)/2], 0x55), false); r.order(kinds, got) {
			slices.Sort(got) // of anything, all things in some order, each once
			for i, v := range got {
				if i != v {
					t.Fatalf("no order: %v", got)
				}
			}
		}
	}
	if sum := hex.EncodeToString(all.Sum(nil)); sum != golden["orders"] {
		t.Errorf("written otherwise than before: %s", sum)
	}
}

// TestLeft compares the tree with a list.
func TestLeft(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for n := range 40 {
		l := newLeft(n)
		var list []int
		for i := range n {
			list = append(list, i)
		}
		for len(list) > 0 {
			for i, at := range list {
				if l.before(at) != i || l.nth(i) != at {
					t.Fatalf("before %d of %v there are %d, the %dth is %d", at, list, l.before(at), i, l.nth(i))
				}
			}
			i := rnd.IntN(len(list))
			l.take(list[i])
			list = slices.Delete(list, i, i+1)
		}
		if l.before(n) != 0 {
			t.Errorf("%d are left", l.before(n))
		}
	}
}
