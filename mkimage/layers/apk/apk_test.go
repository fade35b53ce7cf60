package apk

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/tree"
)

// testKeys are those with which the packages in testdata are signed.
func testKeys(tb testing.TB) Keys {
	tb.Helper()
	keys, err := ReadKeys("testdata")
	if err != nil || len(keys) != 1 {
		tb.Fatalf("keys %v, %v", keys, err)
	}
	return keys
}

var daemon = map[string]uint32{"daemon": 1}

func options(tb testing.TB) Options {
	return Options{Keys: testKeys(tb), Users: daemon, Groups: daemon}
}

func golden(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// describe gives all that a package has, in lines.
func describe(tb testing.TB, p *Package) string {
	tb.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s; %s; %s; %s; %s; %s; %q; %q\n", p.Name, p.Version, p.Architecture, p.Description, p.URL, p.License, p.Origin, p.Signer, p.Triggers, p.Scripts)
	for i, e := range p.Entries() {
		fmt.Fprintf(&b, "%s %d %o %d:%d %d", e.Path, e.Type, e.Mode, e.UID, e.GID, e.ModTime)
		switch {
		case e.Link != "":
			fmt.Fprintf(&b, " = %s", e.Link)
		case e.Type == tree.Symlink:
			fmt.Fprintf(&b, " -> %s", e.Target)
		case e.Type == tree.Regular:
			r, err := p.Open(i)
			if err != nil {
				tb.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				tb.Fatal(err)
			}
			fmt.Fprintf(&b, " %d %.40q", len(content), content)
		}
		for _, x := range e.Xattrs {
			fmt.Fprintf(&b, " %s=%s", x.Name, x.Value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

const toy3 = `toy 1.2-r3 x86_64; A toy; https://toys.example; MIT; toys; test.rsa.pub; ["/usr/share/toy"]; map[".post-install":"#!/bin/sh\nexit 0\n" ".trigger":"#!/bin/sh\nexit 1\n"]
 1 755 0:0 0
etc 1 755 0:0 0
etc/toy.conf 2 644 0:0 1700000000 12 "key = value\n" user.toy=yes
usr 1 755 0:0 0
usr/bin 1 755 0:0 0
usr/bin/toy 2 4755 0:0 1700000000 19 "#!/bin/sh\necho toy\n"
usr/bin/toy2 2 4755 0:0 1700000000 = usr/bin/toy
usr/bin/toy3 3 777 0:0 1700000000 -> toy
usr/share 1 755 0:0 0
usr/share/doc 1 755 0:0 0
usr/share/doc/toy 1 755 0:0 0
usr/share/doc/toy/empty 2 644 0:0 1700000000 0 ""
usr/share/doc/toy/long 2 644 0:0 1700000000 20000 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
var 1 755 0:0 0
var/lib 1 755 0:0 0
var/lib/toy 1 1777 1:1 0
`

const toy2 = `toy 1.2.0-r3 x86_64; A toy; https://toys.example; MIT; ; test.rsa.pub; []; map[".post-install":"#!/bin/sh\nexit 0\n"]
 1 755 0:0 0
etc 1 755 0:0 1700000000
etc/toy.conf 2 644 0:0 1700000000 12 "key = value\n"
usr 1 755 0:0 1700000000
usr/bin 1 755 0:0 1700000000
usr/bin/toy 2 4755 0:0 1700000000 19 "#!/bin/sh\necho toy\n"
usr/bin/toy3 3 777 0:0 1700000000 -> toy
var 1 755 0:0 1700000000
var/lib 1 755 0:0 1700000000
var/lib/toy 1 1777 1:1 1700000000
`

// TestGolden reads packages that apk and nfpm have made: see testdata/make.sh.
func TestGolden(t *testing.T) {
	for name, want := range map[string]string{
		"toy-2.apk": toy2, "toy-3-none.apk": toy3, "toy-3-deflate.apk": toy3, "toy-3-zstd.apk": toy3,
	} {
		p, err := Open(context.Background(), filepath.Join("testdata", name), options(t))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := describe(t, p); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
		if g := int(name[4] - '0'); p.Generation != g || len(p.Warnings()) > 0 {
			t.Errorf("%s: generation %d, warnings %q", name, p.Generation, p.Warnings())
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func read(b []byte, o Options) (*Package, error) {
	return open(context.Background(), bytes.NewReader(b), o)
}

// TestDamage demands of each byte that changes an error, or the same package as before, and of each
// piece of a package an error.
func TestDamage(t *testing.T) {
	o := options(t)
	for _, name := range []string{"toy-2.apk", "toy-3-zstd.apk", "toy-3-none.apk"} {
		good := golden(t, name)
		p, err := read(good, o)
		if err != nil {
			t.Fatal(err)
		}
		want := describe(t, p)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		step := 1 + len(good)/300
		if testing.Short() {
			step *= 5
		}
		refused := 0
		for i := 0; i < len(good); i += step {
			bad := bytes.Clone(good)
			bad[i] ^= 0x41
			if p, err = read(bad, o); err != nil {
				refused++
			} else {
				if got := describe(t, p); got != want {
					t.Errorf("%s: byte %d changed: got\n%s", name, i, got)
				}
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if p, err = read(good[:i], o); err == nil {
				t.Errorf("%s: read of %d bytes alone", name, i)
				p.Close()
			}
		}
		if all := (len(good) + step - 1) / step; refused < all*3/4 {
			t.Errorf("%s: %d of %d changes refused", name, refused, all)
		}
	}
}

func TestKeys(t *testing.T) {
	mine := testKeys(t)
	for _, name := range []string{"toy-2.apk", "toy-3-none.apk"} {
		b := golden(t, name)
		for title, keys := range map[string]Keys{"none": {}, "another": {"other.rsa.pub": otherKey(t)}, "of the same name": {"test.rsa.pub": otherKey(t)}} {
			if p, err := read(b, Options{Keys: keys, Users: daemon, Groups: daemon}); !errors.Is(err, ErrSignature) {
				t.Errorf("%s: key %s: got %v, %v", name, title, p, err)
			}
		}
		p, err := read(b, Options{Users: daemon, Groups: daemon})
		if err != nil || p.Signer != "" {
			t.Errorf("%s: without keys: got %+v, %v", name, p, err)
			continue
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if mine["test.rsa.pub"].Size() != 256 {
		t.Errorf("got the key %v", mine)
	}
	if _, err := parseKey([]byte("junk")); !errors.Is(err, ErrSignature) {
		t.Errorf("junk: got error %v", err)
	}
	if _, err := ReadKeys(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: got error %v", err)
	}
	odd := filepath.Join(t.TempDir(), "keys[1]*")
	if err := os.CopyFS(odd, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	if keys, err := ReadKeys(odd); err != nil || len(keys) != 1 {
		t.Errorf("a folder named %s: keys %v, %v", odd, keys, err)
	}
}

// TestSignatureKinds signs a package of the second generation with each hash.
func TestSignatureKinds(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b := makeV2(t, info("ab"), []tar.Header{{Name: "a", Typeflag: tar.TypeReg, Linkname: "1"}}, nil)
	control := b[:bytes.LastIndex(b, []byte{0x1f, 0x8b, 8})]
	sum1, sum256, sum512 := sha1.Sum(control), sha256.Sum256(control), sha512.Sum512(control)
	sign := func(h crypto.Hash, sum []byte) string {
		s, err := rsa.SignPKCS1v15(rand.Reader, key, h, sum)
		if err != nil {
			t.Fatal(err)
		}
		return string(s)
	}
	good := map[string]string{
		"RSA": sign(crypto.SHA1, sum1[:]), "RSA256": sign(crypto.SHA256, sum256[:]), "RSA512": sign(crypto.SHA512, sum512[:]),
	}
	keys := Options{Keys: Keys{"me.rsa.pub": &key.PublicKey}}
	for kind, s := range good {
		for name, c := range map[string]struct {
			file, signature string
			want            error
		}{
			"good": {kind + ".me.rsa.pub", s, nil}, "of another": {kind + ".other.rsa.pub", s, ErrSignature},
			"of another hash": {"RSA2" + kind[3:] + ".me.rsa.pub", s, ErrSignature}, "of nothing": {kind + ".me.rsa.pub", "", ErrSignature},
		} {
			signed := append(member(t, []tar.Header{{Name: signPrefix + c.file, Typeflag: tar.TypeReg, Linkname: c.signature}}, false), b...)
			p, err := read(signed, keys)
			if !errors.Is(err, c.want) {
				t.Errorf("%s, %s: got error %v", kind, name, err)
			}
			if err == nil {
				if p.Signer != "me.rsa.pub" {
					t.Errorf("%s: signed by %q", kind, p.Signer)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if _, err := read(b, keys); !errors.Is(err, ErrSignature) {
		t.Errorf("not signed: got error %v", err)
	}
}

func TestClampAndOwners(t *testing.T) {
	clamp := uint32(1600000000)
	o := options(t)
	o.Clamp, o.Users = &clamp, map[string]uint32{"daemon": 77}
	for _, name := range []string{"toy-2.apk", "toy-3-none.apk"} {
		p, err := read(golden(t, name), o)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range p.Entries() {
			if e.ModTime != clamp {
				t.Errorf("%s: /%s has the time %d", name, e.Path, e.ModTime)
			}
			if e.Path == "var/lib/toy" && (e.UID != 77 || e.GID != 1) {
				t.Errorf("%s: /%s belongs to %d:%d", name, e.Path, e.UID, e.GID)
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := read(golden(t, "toy-3-none.apk"), Options{}); !errors.Is(err, ErrOwner) || !strings.Contains(fmt.Sprint(err), "var/lib/toy") {
		t.Errorf("no numbers: got error %v", err)
	}
}

// FuzzRead demands of any file either an error of a known kind or a package.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"toy-2.apk", "toy-3-zstd.apk", "toy-3-deflate.apk"} {
		f.Add(golden(f, name))
	}
	f.Add(makeV2(f, info("ab"), []tar.Header{{Name: "a", Typeflag: tar.TypeReg}}, nil))
	f.Add(small(f, nil))
	keys := testKeys(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		for _, o := range []Options{{Users: daemon, Groups: daemon}, {Keys: keys}} {
			p, err := read(b, o)
			if err == nil {
				if p.Name == "" || p.Entries()[0].Path != "" {
					t.Fatalf("got %+v", p)
				}
				err = p.Close()
			}
			known := false
			for _, kind := range []error{nil, ErrMalformed, ErrSignature, ErrOwner, rootfs.ErrMalformed, rootfs.ErrTooLarge, rootfs.ErrContainer, rootfs.ErrKind} {
				known = known || errors.Is(err, kind)
			}
			if !known {
				t.Fatalf("error of no kind: %v", err)
			}
		}
	})
}

// FuzzParseKey demands of any text a key or an error.
func FuzzParseKey(f *testing.F) {
	f.Add(golden(f, "test.rsa.pub"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if key, err := parseKey(text); (key == nil) != errors.Is(err, ErrSignature) {
			t.Fatalf("got %v, %v", key, err)
		}
	})
}
