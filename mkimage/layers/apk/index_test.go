package apk

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// repositories are folders that package alpine's testdata/make.sh has made with apk, by the names
// of their indexes.
var repositories = map[string]string{
	"APKINDEX.tar.gz": "../alpine/testdata/2/x86_64", "Packages.adb": "../alpine/testdata/3/x86_64",
}

func goldenIndex(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(repositories[name], name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func indexKeys(tb testing.TB) Keys {
	tb.Helper()
	keys, err := ReadKeys("../alpine/testdata/keys")
	if err != nil || len(keys) != 1 {
		tb.Fatalf("keys %v, %v", keys, err)
	}
	return keys
}

// TestIndex reads indexes that apk has made, and holds the packages beside them against what they
// say; another repository's are other ones.
func TestIndex(t *testing.T) {
	keys := indexKeys(t)
	for name, dir := range repositories {
		x, err := ReadIndex(bytes.NewReader(goldenIndex(t, name)), keys)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, l := range x.Packages {
			path, err := x.Path(l, true)
			if err != nil || l.Architecture != "x86_64" {
				t.Errorf("%s: %+v: %v", name, l, err)
			}
			found = append(found, path)
			if err := Verify(t.Context(), filepath.Join(dir, path), keys, l); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := Verify(t.Context(), filepath.Join(dir, path), nil, l); !errors.Is(err, ErrSignature) {
				t.Errorf("%s: without keys: %v", name, err)
			}
			for i := range l.Hash {
				other := l
				other.Hash = bytes.Clone(l.Hash)
				other.Hash[i] ^= 1
				if err := Verify(t.Context(), filepath.Join(dir, path), keys, other); !errors.Is(err, ErrListed) {
					t.Errorf("%s: %s, byte %d of its hash: %v", name, l, i, err)
				}
			}
		}
		if got, want := strings.Join(found, " "), "app-1.0-r0.apk lib-1.2-r1.apk lib-1.3-r0.apk libc-2-r0.apk old-1-r0.apk"; got != want {
			t.Errorf("%s: %s", name, got)
		}
		if want := int(dir[len("../alpine/testdata/")] - '0'); x.Generation != want {
			t.Errorf("%s: generation %d", name, x.Generation)
		}
		if _, err := ReadIndex(bytes.NewReader(goldenIndex(t, name)), nil); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: without keys: %v", name, err)
		}
		if _, err := ReadIndex(bytes.NewReader(goldenIndex(t, name)), Keys{"test.rsa.pub": otherKey(t)}); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: with another key of the name: %v", name, err)
		}
	}
	// one that has the hash of the second generation for a package of the third
	want := Listed{"app", "1.0-r0", "x86_64", 588, make([]byte, 20)}
	path := filepath.Join(repositories["Packages.adb"], "app-1.0-r0.apk")
	if err := Verify(t.Context(), path, keys, want); !errors.Is(err, ErrListed) {
		t.Errorf("half a hash of nothing: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	plain, done, err := decompress(bufio.NewReader(bytes.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	f := &blocks{r: plain}
	if _, err := plain.Discard(8); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.next(); err != nil {
		t.Fatal(err)
	}
	database, err := f.all(controlMax)
	if err != nil {
		t.Fatal(err)
	}
	sum256, sum512 := sha256.Sum256(database), sha512.Sum512(database)
	for _, want.Hash = range [][]byte{sum256[:20], sum256[:], sum512[:]} {
		if err := Verify(t.Context(), path, keys, want); err != nil {
			t.Errorf("a hash of %d bytes: %v", len(want.Hash), err)
		}
	}
}

// TestDamagedIndex demands of each byte that changes an error, or the same packages as before, and
// of each piece of an index an error.
func TestDamagedIndex(t *testing.T) {
	keys := indexKeys(t)
	for name := range repositories {
		good := goldenIndex(t, name)
		x, err := ReadIndex(bytes.NewReader(good), keys)
		if err != nil {
			t.Fatal(err)
		}
		want, refused := fmt.Sprint(x), 0
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 0x41
			if x, err := ReadIndex(bytes.NewReader(bad), keys); err != nil {
				refused++
			} else if got := fmt.Sprint(x); got != want {
				t.Errorf("%s: byte %d changed: got %s", name, i, got)
			}
			if x, err := ReadIndex(bytes.NewReader(good[:i]), keys); err == nil {
				t.Errorf("%s: read %v of %d bytes alone", name, x, i)
			}
		}
		if refused < len(good)*3/4 {
			t.Errorf("%s: %d of %d changes refused", name, refused, len(good))
		}
	}
}

// line is a package in an index of the third generation.
type line struct {
	name, version, arch, hash string
	size                      int
}

// makeIndex makes an index of the third generation, signed by a key; nil: by nobody.
func makeIndex(tb testing.TB, key *rsa.PrivateKey, spec string, lines ...line) []byte {
	tb.Helper()
	w := &writer{make([]byte, databaseHeader)}
	var list []value
	for _, l := range lines {
		fields := make([]value, infoSize)
		fields[infoName-1], fields[infoVersion-1], fields[infoArch-1] = w.blob(l.name), w.blob(l.version), w.blob(l.arch)
		fields[infoHash-1], fields[infoSize-1] = w.blob(l.hash), number(l.size)
		list = append(list, w.object(fields...))
	}
	root := []value{0, w.array(list...), 0}
	if spec != "" {
		root[indexSpec-1] = w.blob(spec)
	}
	at := w.object(root...)
	binary.LittleEndian.PutUint32(w.b[4:], uint32(at))
	b := block([]byte("ADB.indx"), blockDatabase, w.b)
	if key == nil {
		return b
	}
	id, sum := sha512.Sum512(x509.MarshalPKCS1PublicKey(&key.PublicKey)), sha512.Sum512(w.b)
	head := append([]byte{0, hashSHA512}, id[:16]...)
	signed := sha512.Sum512(append(append(binary.LittleEndian.AppendUint32(nil, schemaIndex), head...), sum[:]...))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA512, signed[:])
	if err != nil {
		tb.Fatal(err)
	}
	return block(b, blockSignature, append(head, signature...))
}

func TestHostileIndexV3(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys := Keys{"me.rsa.pub": &key.PublicKey}
	sum := strings.Repeat("s", 32)
	good := line{"ab", "1-r0", "x86_64", sum, 5}
	change := func(f func(*line)) []byte {
		l := good
		f(&l)
		return makeIndex(t, key, "", l)
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"good":                  {makeIndex(t, key, "", good), nil},
		"no package":            {makeIndex(t, key, ""), nil},
		"of nobody":             {makeIndex(t, nil, "", good), ErrSignature},
		"a package":             {golden(t, "toy-3-none.apk"), ErrMalformed},
		"a package of before":   {golden(t, "toy-2.apk"), ErrSignature},
		"nothing":               {nil, ErrMalformed},
		"something behind":      {block(makeIndex(t, key, "", good), blockData, []byte("12345678")), ErrMalformed},
		"a name that leaves":    {change(func(l *line) { l.name = "../ab" }), ErrMalformed},
		"a version that leaves": {change(func(l *line) { l.version = "1/../.." }), ErrMalformed},
		"a line in a name":      {change(func(l *line) { l.name = "ab\n(1/1) Installing b" }), ErrMalformed},
		"an architecture up":    {change(func(l *line) { l.arch = ".." }), ErrMalformed},
		"no name":               {change(func(l *line) { l.name = "" }), ErrMalformed},
		"no hash":               {change(func(l *line) { l.hash = "" }), ErrMalformed},
		"a hash of MD5":         {change(func(l *line) { l.hash = sum[:16] }), ErrMalformed},
		"half a hash":           {change(func(l *line) { l.hash = sum[:20] }), nil},
		"no size":               {change(func(l *line) { l.size = 0 }), ErrMalformed},
	} {
		if x, err := ReadIndex(bytes.NewReader(c.b), keys); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v", name, x, err)
		}
	}
	for spec, want := range map[string]string{
		"":                                  "x86_64/ab-1-r0.apk",
		"${name}-${version}.apk":            "ab-1-r0.apk",
		"${name:1}/${name}_${hash:8}.apk":   "a/ab_73737373.apk",
		"${arch}/${name}-${version:99}.apk": "x86_64/ab-1-r0.apk",
		"../${name}-${version}.apk":         "",
		"a/../${name}-${version}.apk":       "",
		"/${name}-${version}.apk":           "",
		"a//${name}-${version}.apk":         "",
		"https://x/${name}-${version}.apk":  "",
		"${name}-${version}.apk?x":          "",
		"${name}-${version}":                "",
		"${name} ${version}.apk":            "",
		"${nosuch}.apk":                     "",
		"${name:x}.apk":                     "",
		"${name:-1}.apk":                    "",
		"${name":                            "",
		strings.Repeat("${hash}", 1000):     "",
		strings.Repeat("a", 2000) + ".apk":  "",
	} {
		x, err := ReadIndex(bytes.NewReader(makeIndex(t, key, spec, good)), keys)
		if err != nil {
			t.Fatal(err)
		}
		got, err := x.Path(x.Packages[0], false)
		if got != want && err == nil || (want == "") != errors.Is(err, ErrMalformed) {
			t.Errorf("%.40s: %q, %v", spec, got, err)
		}
	}
}

func TestParseHash(t *testing.T) {
	for text, want := range map[string]string{
		"Q1TfhlRw07oxxDqwJ/pK33LB8nrLQ=":                 "4df865470d3ba31c43ab027fa4adf72c1f27acb4",
		"X14df865470d3ba31c43ab027fa4adf72c1f27acb4":     "4df865470d3ba31c43ab027fa4adf72c1f27acb4",
		"X2" + strings.Repeat("0f", 32):                  strings.Repeat("0f", 32),
		"Q2DwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=": "0f" + strings.Repeat("00", 31),
		"X24df865470d3ba31c43ab027fa4adf72c1f27acb4":     "",
		"X1" + strings.Repeat("0f", 32):                  "",
		"Q1":                                             "",
		"Q":                                              "",
		"":                                               "",
		"Z14df865470d3ba31c43ab027fa4adf72c1f27acb4": "",
		"4df865470d3ba31c43ab027fa4adf72c":           "",
	} {
		got, err := parseHash(text)
		if hex.EncodeToString(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %x, %v", text, got, err)
		}
	}
}

// FuzzReadIndex demands of any file an error of a known kind or packages whose paths stay below.
func FuzzReadIndex(f *testing.F) {
	for name := range repositories {
		f.Add(goldenIndex(f, name))
	}
	f.Add(makeIndex(f, nil, "${name:1}/${name}-${version}.apk", line{"ab", "1", "noarch", strings.Repeat("s", 20), 1}))
	f.Add(member(f, []tar.Header{{Name: "APKINDEX", Typeflag: tar.TypeReg, Linkname: "P:a\nV:1\nA:x\nS:1\nC:Q1TfhlRw07oxxDqwJ/pK33LB8nrLQ=\n"}}, true))
	keys := indexKeys(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		if _, err := ReadIndex(bytes.NewReader(b), keys); err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrSignature) {
			t.Fatalf("error of no kind: %v", err)
		}
		x, err := readIndex(bytes.NewReader(b), nil)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		for _, l := range x.Packages {
			for _, alone := range []bool{true, false} {
				path, err := x.Path(l, alone)
				if err == nil && (!filepath.IsLocal(path) || strings.ContainsAny(path, " \n?#%")) {
					t.Fatalf("the path %q", path)
				}
			}
		}
	})
}
