// Package apktest makes packages of Alpine of the second generation, and indexes of them, for
// tests.
package apktest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Key signs packages and indexes.
type Key struct {
	Name    string // of the file with the public key
	private *rsa.PrivateKey
}

// NewKey makes a key, whose public half has a name.
func NewKey(tb testing.TB, name string) *Key {
	tb.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	return &Key{name, private}
}

// Write puts the public half into a folder, which it makes.
func (k *Key) Write(tb testing.TB, dir string) {
	tb.Helper()
	public, err := x509.MarshalPKIXPublicKey(&k.private.PublicKey)
	if err != nil {
		tb.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, k.Name), text, 0o644))
	if err != nil {
		tb.Fatal(err)
	}
}

// File is a file of a package, owned by root, or of its control archive.
type File struct {
	Name, Content string
	Mode          int64 // 0: 0644
}

// Package is a package. It is for x86_64.
type Package struct {
	Name, Version string
	Files         []File
	Scripts       []File // .post-install
}

// Bytes gives the package as its file, signed by a key; nil: by nobody.
func (p *Package) Bytes(tb testing.TB, key *Key) []byte {
	tb.Helper()
	control, data := p.parts(tb)
	return append(append(key.sign(tb, control), control...), data...)
}

func (p *Package) parts(tb testing.TB) (control, data []byte) {
	tb.Helper()
	data = Archive(tb, p.Files, true)
	info := fmt.Sprintf("pkgname = %s\npkgver = %s\narch = x86_64\ndatahash = %x\n", p.Name, p.Version,
		sha256.Sum256(data))
	return Archive(tb, append([]File{{Name: ".PKGINFO", Content: info}}, p.Scripts...), false), data
}

// Lines gives what an index has of the package.
func (p *Package) Lines(tb testing.TB, key *Key) string {
	tb.Helper()
	control, _ := p.parts(tb)
	sum := sha1.Sum(control)
	return fmt.Sprintf("C:Q1%s\nP:%s\nV:%s\nA:x86_64\nS:%d\nT:a test\n\n",
		base64.StdEncoding.EncodeToString(sum[:]), p.Name, p.Version, len(p.Bytes(tb, key)))
}

// Index gives an index with lines, signed by a key; nil: by nobody.
func Index(tb testing.TB, key *Key, lines string) []byte {
	tb.Helper()
	return SignedArchive(tb, key, []File{
		{Name: "DESCRIPTION", Content: "test"}, {Name: "APKINDEX", Content: lines},
	})
}

// SignedArchive makes an archive, signed by a key; nil: by nobody.
func SignedArchive(tb testing.TB, key *Key, files []File) []byte {
	tb.Helper()
	b := Archive(tb, files, true)
	return append(key.sign(tb, b), b...)
}

// sign gives the member with the signature of what follows.
func (k *Key) sign(tb testing.TB, b []byte) []byte {
	tb.Helper()
	if k == nil {
		return nil
	}
	sum := sha256.Sum256(b)
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.private, crypto.SHA256, sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	return Archive(tb, []File{{Name: ".SIGN.RSA256." + k.Name, Content: string(signature)}}, false)
}

// Archive makes a gzip member with an archive, whole or without its end. It is not compressed, so
// that its size tells nothing of contents. A name with a slash at its end is a folder.
func Archive(tb testing.TB, files []File, whole bool) []byte {
	tb.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
	if err != nil {
		tb.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{
			Typeflag: tar.TypeReg, Name: f.Name, Mode: f.Mode, Size: int64(len(f.Content)),
			Uname: "root", Gname: "root", Format: tar.FormatUSTAR,
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if strings.HasSuffix(f.Name, "/") {
			h.Typeflag, h.Size = tar.TypeDir, 0
		}
		if err := w.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.WriteString(w, f.Content); err != nil {
			tb.Fatal(err)
		}
	}
	end := w.Flush
	if whole {
		end = w.Close
	}
	if err := errors.Join(end(), z.Close()); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}
