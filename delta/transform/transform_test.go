package transform

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// samples are files in testdata with the id of the transform for each.
var samples = map[string]uint8{
	"text.gz": idGzipAny, "module.o": idModule, "pie": idProgram, "fixed": idProgram, "library.so": idProgram,
	"text.xz": idXZ, "module.o.xz": idXZModule, "pie.xz": idXZProgram,
}

func sample(t testing.TB, name string) []byte {
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// golden pins the behaviour of each id: the SHA-256 of what Forward gives for the samples. When a
// hash changes, the transform needs a new id.
var golden = map[string]string{
	"text.gz":      "918739a4c7cd89abf378a9f750a56eb9e0c2ed5c2c997bc03360dabf2bbb1b50",
	"module.o":     "dd16395ccc3db990d8dc8cf7635606e42c7cf033f212c2e25107a823bbb114a0",
	"pie":          "5808324c75523f484ada8a168da5ed9b75ef10463cff429be1593e6fbbc61f9a",
	"fixed":        "3e0ac0518830e4df48673967b22d22b5f33c0d36f9b301b68551924e5ec4af1d",
	"library.so":   "1ca0c50109dad33ef0bf4927ee07a9c705fba72b8daa70ef8413151ab4685f7a",
	"text.xz":      "c3d8efd11b489f4953a9aa4ececb548688d2d589807c06adf442f99f5c2c8388",
	"module.o.xz":  "44f17f9c19c3e38cbc141d59a1989edf0f9a6dba7bf6b92d570fd7bde632101e",
	"pie.xz":       "c34f46b04686d68737b71bd4c824ba1b06c2075c38b1470889e3c6badc0ac242",
	"split":        "8b18a7cac8c593895a3f380ef9808df6d65fb037c5286f839bdb4b2a0549dea9",
	"ordered":      "b2b6f9c77b20b498edfa129104f2f7b2fb47171226e4775b917cfe963e9cd02b",
	"ordered step": "8bfcd47ee211da1e47257ba9f161741a19728dabd8d727333b40a54e0f06e340",
	"orders":       "b5d420876789df1e0f1df2d58e648c68fe0cdd80df7d89ca305570540a23f399",
	"shifted":      "e3f25be8cc5a66f00228e113b6d99fcb7526182ab42eb4ac2f58e0ea16b1a964",
	"kernel":       "6ef031d53d2480e2bf1ac6525101ba23ac2970326e6f56551071ce97b2c5ce0f",
	"late kernel":  "4768e923feda64a5ef06ef5e8a99d6df9224c364d511e9e8d301a5555d335ba9",
	"flat kernel":  "9e5e8cd16614e8f4a2566e6fa803a8304c02669da0058ccdb17777bca6e47b2b",
}

func TestGolden(t *testing.T) {
	check := func(name string, id uint8, plain []byte) {
		out, ok := registry[id].Forward(plain)
		if !ok {
			t.Errorf("%s: Forward does not apply", name)
			return
		}
		if sum := sha256.Sum256(out); hex.EncodeToString(sum[:]) != golden[name] {
			t.Errorf("%q: %q,", name, hex.EncodeToString(sum[:]))
		}
		if bytes.Equal(out[:len(plain)/2], plain[:len(plain)/2]) {
			t.Errorf("%s: nothing is rewritten", name)
		}
	}
	for name, id := range samples {
		check(name, id, sample(t, name))
	}
	check("text.gz", idGzip, sample(t, "text.gz"))
	check("split", idModule, splitModule(95000, 1700000, false))
	check("shifted", idShifted, splitModule(95000, 1700000, false))
	check("ordered", idOrdered, splitModule(95000, 1700000, false))
	check("kernel", idKernel, testKernel{}.file())
	check("late kernel", idKernel, testKernel{late: true}.file())
	check("flat kernel", idKernel, testKernel{late: true, flat: true}.file())
}

func TestRegistry(t *testing.T) {
	ids := slices.Sorted(maps.Keys(registry))
	if !slices.IsSorted(ids) || len(ids) != len(registry) || slices.Contains(ids, 0) {
		t.Errorf("ids %v", ids)
	}
	names := map[string]bool{}
	for _, id := range ids {
		tr, ok := ByID(id)
		if !ok || tr.Name() == "" || names[tr.Name()] {
			t.Errorf("id %d: %v, %v", id, tr, ok)
		}
		names[tr.Name()] = true
	}
	if _, ok := ByID(0); ok {
		t.Error("id 0 is none")
	}
}

func TestFor(t *testing.T) {
	for name, id := range samples {
		if ids := For(name, sample(t, name)); len(ids) == 0 || ids[0] != id {
			t.Errorf("%s: %v, want %d first", name, ids, id)
		}
	}
	big := append(sample(t, "pie"), make([]byte, maxContent)...)
	for name, plain := range map[string][]byte{"empty": nil, "text": []byte("hello"), "magic": []byte("\x7fELF"), "big": big} {
		if ids := For(name, plain); len(ids) != 0 {
			t.Errorf("%s: %v", name, ids)
		}
		for _, id := range slices.Sorted(maps.Keys(registry)) {
			if _, ok := registry[id].Forward(plain); ok {
				t.Errorf("%s: %s applies", name, registry[id].Name())
			}
		}
	}
}

// systemFiles are programs and libraries of this machine, if there are any.
func systemFiles(t testing.TB) map[string][]byte {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{exe, "/bin/ls", "/bin/gzip", "/usr/bin/perl", "/usr/bin/bsdtar"}
	for _, pattern := range []string{"/lib/*/libm.so.6", "/usr/lib/*/libstdc++.so.6", "/usr/lib/*/crt1.o", "/usr/lib/*/libcrypto.so.3", "/usr/share/doc/*/changelog.Debian.gz", "/usr/lib/gcc/*/*/crtbegin.o"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found[:min(len(found), 5)]...)
	}
	files := map[string][]byte{}
	for _, p := range paths {
		if b, err := os.ReadFile(p); err == nil && len(b) <= maxContent {
			files[p] = b
		}
	}
	return files
}

func TestRoundTrip(t *testing.T) {
	files := systemFiles(t)
	for name := range samples {
		files[name] = sample(t, name)
	}
	files["split"] = splitModule(95000, 1700000, false)
	applied := 0
	for name, plain := range files {
		for _, id := range For(name, plain) {
			out, ok := Exact(registry[id], bytes.Clone(plain))
			if !ok {
				if samples[name] != 0 {
					t.Errorf("%s: %s does not apply", name, registry[id].Name())
				}
				continue
			}
			applied++
			back, err := registry[id].Inverse(bytes.Clone(out), int64(len(plain)))
			if err != nil || !bytes.Equal(back, plain) {
				t.Errorf("%s: %s gives back other bytes: %v", name, registry[id].Name(), err)
			}
			if _, err := registry[id].Inverse(out, int64(len(plain))-1); !errors.Is(err, errTooLong) {
				t.Errorf("%s: %s beyond the limit: %v", name, registry[id].Name(), err)
			}
		}
	}
	if applied < len(samples) {
		t.Errorf("only %d files were rewritten", applied)
	}
}

// TestBase demands that a patch copies from what Forward gives as content, from an old file that no
// encoder makes, and from one that was not compressed.
func TestBase(t *testing.T) {
	module, packed := sample(t, "module.o"), sample(t, "module.o.xz")
	want, _ := registry[idModule].Forward(module)
	for name, old := range map[string][]byte{"packed": packed, "plain": module} {
		got, _, ok := Base(registry[idXZModule], old)
		if !ok || !bytes.Equal(got, want) {
			t.Errorf("%s: another base than the rewritten content", name)
		}
	}
	if got, _, ok := Base(registry[idXZ], packed); !ok || !bytes.Equal(got, module) {
		t.Error("xz: another base than the content")
	}
	if got, _, ok := Base(registry[idModule], module); !ok || !bytes.Equal(got, want) {
		t.Error("module: another base than what Forward gives")
	}
	if _, _, ok := Base(registry[idXZ], packed[:len(packed)-1]); ok {
		t.Error("a damaged base is taken")
	}
}

// TestMutated tries files that are nearly right. Exact must give nothing, or what comes back
// exactly. Inverse must neither panic nor exceed its limit.
func TestMutated(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	rounds := 2000
	if testing.Short() {
		rounds = 300
	}
	inputs := map[string]uint8{"split": idModule, "shifted": idShifted, "ordered": idOrdered, "kernel": idKernel}
	for name, id := range samples {
		inputs[name] = id
	}
	for name, id := range inputs {
		plain := splitModule(95000, 1700000, true)
		if name == "kernel" {
			plain = testKernel{late: true}.file()
		} else if samples[name] != 0 {
			plain = sample(t, name)
		}
		tr := registry[id]
		good, ok := tr.Forward(plain)
		if !ok {
			t.Fatalf("%s: Forward does not apply", name)
		}
		for range rounds {
			changed := mutate(rnd, plain)
			if out, ok := Exact(tr, changed); ok {
				if back, err := tr.Inverse(out, maxContent); err != nil || !bytes.Equal(back, changed) {
					t.Fatalf("%s: %v", name, err)
				}
			}
			checkInverse(t, tr, mutate(rnd, good), int64(len(plain)))
		}
	}
}

// mutate changes, removes or doubles a few bytes.
func mutate(rnd *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + rnd.IntN(4) {
		at := rnd.IntN(len(b))
		switch rnd.IntN(8) {
		case 0:
			b = append(b[:at], b[min(len(b), at+1+rnd.IntN(30)):]...)
		case 1:
			b = slices.Insert(b, at, b[at:min(len(b), at+rnd.IntN(30))]...)
		case 2:
			b[at] = 0xff
		case 3:
			b[at] = 0
		default:
			b[at] ^= 1 << rnd.IntN(8)
		}
		if len(b) == 0 {
			return []byte{0}
		}
	}
	return b
}

func checkInverse(t *testing.T, tr Transform, out []byte, limit int64) {
	t.Helper()
	plain, err := tr.Inverse(bytes.Clone(out), limit)
	switch {
	case err != nil && !errors.Is(err, errCorrupt) && !errors.Is(err, errTooLong):
		t.Fatalf("%s: %v", tr.Name(), err)
	case err == nil && int64(len(plain)) > limit:
		t.Fatalf("%s: %d bytes, limit %d", tr.Name(), len(plain), limit)
	}
}

func fuzzSeeds(f *testing.F, add func(id uint8, plain []byte)) {
	for name, id := range samples {
		plain := sample(f, name)
		if isXZ(plain) {
			plain = smallDictionary(f, id, plain)
		}
		add(id, plain)
	}
	add(idModule, splitModule(95000, 1700000, false))
	add(idShifted, splitModule(95000, 1700000, false))
	add(idOrdered, splitModule(95000, 1700000, false))
	add(idKernel, testKernel{}.file())
	add(idKernel, testKernel{late: true}.file())
	add(idKernel, testKernel{late: true, flat: true}.file())
}

// smallDictionary makes a .xz file anew with a dictionary of 64 KiB. The tables for a larger one
// take longer to clear than all else that a fuzzer runs.
func smallDictionary(f *testing.F, id uint8, plain []byte) []byte {
	out, ok := registry[id].Forward(plain)
	if !ok {
		f.Fatal("it is not rewritten")
	}
	const dict, block = 1, 8 // where doc/transforms.md has them
	out[dict] = 8
	if size, n := binary.Uvarint(out[block:]); size > 0 { // xz chooses it by the dictionary
		out = slices.Concat(out[:block], binary.AppendUvarint(nil, 1<<20), out[block+n:])
	}
	small, err := registry[id].Inverse(out, maxContent)
	if _, ok := Exact(registry[id], small); !ok || err != nil {
		f.Fatalf("no seed: %v", err)
	}
	return small
}

func FuzzForward(f *testing.F) {
	fuzzSeeds(f, func(id uint8, plain []byte) { f.Add(id, plain) })
	f.Fuzz(func(t *testing.T, id uint8, plain []byte) {
		tr, ok := ByID(id)
		if !ok {
			return
		}
		out, ok := tr.Forward(plain)
		if !ok {
			return
		}
		checkInverse(t, tr, out, int64(len(plain)))
		if _, exact := Exact(tr, plain); !exact {
			return
		}
		if back, err := tr.Inverse(out, int64(len(plain))); err != nil || !bytes.Equal(back, plain) {
			t.Fatalf("%s: other bytes come back: %v", tr.Name(), err)
		}
	})
}

func FuzzInverse(f *testing.F) {
	fuzzSeeds(f, func(id uint8, plain []byte) {
		out, ok := registry[id].Forward(plain)
		if !ok {
			f.Fatal("a seed is not rewritten")
		}
		f.Add(id, out)
	})
	f.Fuzz(func(t *testing.T, id uint8, out []byte) {
		if tr, ok := ByID(id); ok {
			checkInverse(t, tr, out, 1<<20)
		}
	})
}

func BenchmarkForward(b *testing.B) {
	benchmark(b, func(tr Transform, plain, _ []byte) { tr.Forward(plain) })
}

func BenchmarkInverse(b *testing.B) {
	benchmark(b, func(tr Transform, plain, out []byte) {
		if _, err := tr.Inverse(bytes.Clone(out), int64(len(plain))); err != nil {
			b.Fatal(err)
		}
	})
}

func benchmark(b *testing.B, run func(tr Transform, plain, out []byte)) {
	for name, plain := range systemFiles(b) {
		for _, id := range For(name, plain) {
			out, ok := registry[id].Forward(plain)
			if !ok || len(plain) < 200_000 {
				continue
			}
			b.Run(registry[id].Name()+"/"+filepath.Base(name), func(b *testing.B) {
				b.SetBytes(int64(len(plain)))
				b.ReportAllocs()
				for b.Loop() {
					run(registry[id], plain, out)
				}
			})
		}
	}
}
