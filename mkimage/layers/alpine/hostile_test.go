package alpine_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/internal/test/apktest"
	"deltaup/mkimage/layers"
	"deltaup/mkimage/layers/alpine"
	"deltaup/mkimage/layers/apk"
	"deltaup/mkimage/rootfs"
)

// shop is a repository of packages that the test makes.
type shop struct {
	*site
	key, other *apktest.Key // the definition trusts the first
	served     string
	index      []byte
	files      map[string][]byte // by their names
}

var (
	one = apktest.Package{Name: "one", Version: "1-r0", Files: []apktest.File{{Name: "one", Content: "1"}}}
	two = apktest.Package{Name: "two", Version: "2-r0", Files: []apktest.File{{Name: "two", Content: "2"}}}
)

const both = "(1/2) Installing one (1-r0)\n(2/2) Installing two (2-r0)\nOK: 0 MiB in 2 packages"

// keys are two of one name, and one of another. The first shop makes them.
var keys []*apktest.Key

func newShop(t *testing.T) *shop {
	served := t.TempDir()
	s := &shop{site: newSite(t, served), served: served}
	for _, name := range []string{"mine.rsa.pub", "mine.rsa.pub", "yours.rsa.pub"}[len(keys):] {
		keys = append(keys, apktest.NewKey(t, name))
	}
	s.key, s.other = keys[0], keys[1]
	s.key.Write(t, filepath.Join(s.dir, "keys"))
	s.index = apktest.Index(t, s.key, one.Lines(t, s.key)+two.Lines(t, s.key))
	s.files = map[string][]byte{"one-1-r0.apk": one.Bytes(t, s.key), "two-2-r0.apk": two.Bytes(t, s.key)}
	s.play(versions, map[string]string{"one two": both})
	return s
}

const oneLayer = "repositories = [\"URL\"]\n[[layer]]\nname = \"all\"\npackages = [\"one\", \"two\"]\n"

func (s *shop) resolve(former *layers.Lock) (*layers.Lock, error) {
	s.Helper()
	folder := filepath.Join(s.served, "x86_64")
	err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o755))
	for name, b := range s.files {
		err = errors.Join(err, os.WriteFile(filepath.Join(folder, name), b, 0o644))
	}
	if s.index != nil {
		err = errors.Join(err, os.WriteFile(filepath.Join(folder, "APKINDEX.tar.gz"), s.index, 0o644))
	}
	if err != nil {
		s.Fatal(err)
	}
	return alpine.Resolve(s.Context(), s.definition(filepath.Join(s.dir, "keys"), oneLayer), former, s.cache())
}

// cached gives the names in the cache.
func (s *shop) cached() (names []string) {
	s.Helper()
	entries, err := os.ReadDir(filepath.Join(s.dir, "cache"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestHostile demands of each thing that a repository may do its own message, and nothing in the
// cache of what was refused.
func TestHostile(t *testing.T) {
	sign := func(s *shop, from, to string) { // the first package's lines, otherwise
		lines := one.Lines(t, s.key)
		if !strings.Contains(lines, from) {
			t.Fatalf("%q has no %q", lines, from)
		}
		s.index = apktest.Index(t, s.key, strings.Replace(lines, from, to, 1)+two.Lines(t, s.key))
	}
	for name, c := range map[string]struct {
		change func(s *shop)
		kind   error
		want   string
	}{
		"nothing":             {func(s *shop) {}, nil, ""},
		"no index":            {func(s *shop) { s.index = nil }, layers.ErrGone, "x86_64/APKINDEX.tar.gz: 404"},
		"an index of nobody":  {func(s *shop) { s.index = apktest.Index(t, nil, one.Lines(t, s.key)) }, apk.ErrSignature, "APKINDEX.tar.gz: no signature of a known key: 0 signatures"},
		"an index of another": {func(s *shop) { s.index = apktest.Index(t, s.other, one.Lines(t, s.key)) }, apk.ErrSignature, "verification error"},
		"an index behind a signature": {func(s *shop) {
			s.index = append(bytes.Clone(s.index), apktest.Index(t, nil, one.Lines(t, s.key))...)
		}, apk.ErrMalformed, "something follows the index"},
		"an index of another's name": {func(s *shop) {
			s.index = apktest.Index(t, keys[2], one.Lines(t, s.key))
		}, apk.ErrSignature, "1 signatures, none by one of 1 keys"},
		"no list": {func(s *shop) { s.index = s.files["one-1-r0.apk"] }, apk.ErrMalformed, "something follows the index"},
		"an archive of nothing": {func(s *shop) {
			s.index = apktest.SignedArchive(t, s.key, []apktest.File{{Name: "DESCRIPTION"}})
		}, apk.ErrMalformed, "no APKINDEX"},
		"a line of nothing":     {func(s *shop) { sign(s, "T:a test", "nothing") }, apk.ErrMalformed, `the line "nothing" of the index`},
		"a name that leaves":    {func(s *shop) { sign(s, "P:one", "P:../../one") }, apk.ErrMalformed, `"../../one"`},
		"a version that leaves": {func(s *shop) { sign(s, "V:1-r0", "V:1/../../1-r0") }, apk.ErrMalformed, `"1/../../1-r0"`},
		"no size":               {func(s *shop) { sign(s, "S:", "s:") }, apk.ErrMalformed, "one 1-r0 has 0 bytes"},
		"a negative size":       {func(s *shop) { sign(s, "S:", "S:-") }, apk.ErrMalformed, "one 1-r0 has -"},
		"a size of words":       {func(s *shop) { sign(s, "S:", "S:x") }, apk.ErrMalformed, `the line "S:x`},
		"a hash of nothing":     {func(s *shop) { sign(s, "C:Q1", "C:Q1A") }, apk.ErrMalformed, `the line "C:Q1A`},
		"no hash":               {func(s *shop) { sign(s, "C:", "c:") }, apk.ErrMalformed, "the hash"},
		"a size too small": {func(s *shop) {
			sign(s, one.Lines(t, s.key)[strings.Index(one.Lines(t, s.key), "S:"):], "S:1\n\n")
		}, apk.ErrListed, "one 1-r0 has more than the 1 bytes of the index"},
		"a size too great":     {func(s *shop) { sign(s, "S:", "S:9") }, apk.ErrListed, "bytes, the index says 9"},
		"no package":           {func(s *shop) { delete(s.files, "two-2-r0.apk") }, layers.ErrGone, "two-2-r0.apk: 404"},
		"another package":      {func(s *shop) { s.files["two-2-r0.apk"] = one.Bytes(t, s.key) }, apk.ErrListed, "in the place of two 2-r0 for x86_64 is one 1-r0"},
		"a package of another": {func(s *shop) { s.files["two-2-r0.apk"] = two.Bytes(t, s.other) }, apk.ErrSignature, "two 2-r0: no signature of a known key"},
		"another build": {func(s *shop) {
			p := two
			p.Files = []apktest.File{{Name: "two", Content: "3"}}
			s.files["two-2-r0.apk"] = p.Bytes(t, s.key)
		}, apk.ErrListed, "two 2-r0 has the hash "},
		"other files": {func(s *shop) {
			p := two
			p.Files = []apktest.File{{Name: "two", Content: "3"}}
			data := apktest.Archive(t, p.Files, true)
			b := s.files["two-2-r0.apk"]
			s.files["two-2-r0.apk"] = append(b[:len(b)-len(data):len(b)-len(data)], data...)
		}, apk.ErrMalformed, "malformed package: the files have the hash"},
		"a path that leaves": {func(s *shop) {
			p := two
			p.Files = []apktest.File{{Name: "a/../../two", Content: "2"}}
			s.files["two-2-r0.apk"] = p.Bytes(t, s.key)
			s.index = apktest.Index(t, s.key, one.Lines(t, s.key)+p.Lines(t, s.key))
		}, rootfs.ErrMalformed, "a/../../two"},
		"two of a name": {func(s *shop) {
			p := one
			p.Files = nil
			s.index = apktest.Index(t, s.key, one.Lines(t, s.key)+p.Lines(t, s.key)+two.Lines(t, s.key))
		}, alpine.ErrApk, "one 1-r0 is not the same in "},
	} {
		s := newShop(t)
		c.change(s)
		lock, err := s.resolve(&layers.Lock{})
		if !errors.Is(err, c.kind) || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), s.dir)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err == nil && (len(lock.Packages) != 2 || len(s.cached()) != 2) {
			t.Errorf("%s: %+v, cache %q", name, lock, s.cached())
		}
		for _, kept := range s.cached() {
			if b, err := os.ReadFile(filepath.Join(s.dir, "cache", kept)); err != nil || !bytes.Equal(b, one.Bytes(t, s.key)) && !bytes.Equal(b, two.Bytes(t, s.key)) {
				t.Errorf("%s: the cache has %s, %v", name, kept, err)
			}
		}
	}
}

// TestFormer fetches nothing again that a former lock names, unless it was damaged or the index
// says otherwise.
func TestFormer(t *testing.T) {
	s := newShop(t)
	lock, err := s.resolve(&layers.Lock{})
	if err != nil {
		t.Fatal(err)
	}
	s.requests()
	again := func(name string, want ...string) {
		t.Helper()
		got, err := s.resolve(lock)
		if err != nil {
			t.Fatal(err)
		}
		want = append([]string{"/x86_64/APKINDEX.tar.gz"}, want...)
		if asked := s.requests(); strings.Join(asked, " ") != strings.Join(want, " ") {
			t.Errorf("%s: asked for %q, want %q", name, asked, want)
		}
		lock = got
	}
	again("the same")
	kept := filepath.Join(s.dir, "cache", lock.Packages[0].SHA256+".apk")
	b, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(kept, b, 0o644); err != nil {
		t.Fatal(err)
	}
	again("a damaged one", "/x86_64/one-1-r0.apk")
	p := two
	p.Files = []apktest.File{{Name: "two", Content: "3"}}
	s.files["two-2-r0.apk"] = p.Bytes(t, s.key)
	s.index = apktest.Index(t, s.key, one.Lines(t, s.key)+p.Lines(t, s.key))
	old := lock.Packages[1].SHA256
	again("another build of the same version", "/x86_64/two-2-r0.apk")
	if lock.Packages[1].SHA256 == old {
		t.Error("the lock still has the old one")
	}
}

// TestApkRefuses makes of what apk says an error, and takes nothing from it that is no package of
// an index.
func TestApkRefuses(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"no package":                   {"echo 'ERROR: unable to select packages:' >&2; echo '  one (no such package)' >&2; exit 1", "apk: ERROR: unable to select packages: one (no such package)"},
		"no word":                      {"exit 3", "apk: exit status 3"},
		"an index that it cannot read": {`echo "WARNING: opening /proc/self/cwd/repositories/0: UNTRUSTED signature" >&2; echo 'OK: 0 MiB in 0 packages'`, "x86_64/APKINDEX.tar.gz: UNTRUSTED signature"},
		"a package of no index":        {"echo '(1/1) Installing three (1-r0)'", "it takes three 1-r0, which no index has"},
		"a version of no index":        {"echo '(1/1) Installing one (2-r0)'", "it takes one 2-r0, which no index has"},
		"half":                         {"echo '(1/2) Installing one (1-r0)'", "it shows 1 of 2 packages"},
		"another order":                {"echo '(2/2) Installing one (1-r0)'", "is not in order"},
		"something else":               {"echo '(1/1) Purging one (1-r0)'", "it would do something else than install"},
		"a name with a space":          {"echo '(1/1) Installing one (1-r0) (1-r0)'", "it would do something else than install"},
	} {
		s := newShop(t)
		s.program("#!/bin/sh\n" + c.script + "\n")
		_, err := s.resolve(&layers.Lock{})
		if !errors.Is(err, alpine.ErrApk) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if got := s.cached(); len(got) > 0 {
			t.Errorf("%s: cached %q", name, got)
		}
	}
	s := newShop(t)
	t.Setenv("PATH", s.served)
	if _, err := s.resolve(&layers.Lock{}); !errors.Is(err, alpine.ErrApk) || !strings.Contains(err.Error(), "neither apk nor apk.static is in PATH") {
		t.Errorf("no apk: %v", err)
	}
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	old := newSite(t, testdata)
	old.play("apk-tools 2.14.10, compiled for x86_64.", worlds)
	d := old.definition(filepath.Join(testdata, "keys"), "repositories = [\"v3 URL/3\"]\n[[layer]]\nname = \"all\"\npackages = [\"app\"]\n")
	if _, err := alpine.Resolve(t.Context(), d, &layers.Lock{}, old.cache()); !errors.Is(err, alpine.ErrApk) || !strings.Contains(err.Error(), "Packages.adb is of the third generation, which takes apk-tools 3, not apk-tools 2.14.10") {
		t.Errorf("an old apk: %v", err)
	}
}
