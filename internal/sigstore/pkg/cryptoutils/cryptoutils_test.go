package cryptoutils

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"testing"
)

type key interface {
	Public() crypto.PublicKey
}

// TestPEM reads what it writes, for each kind of key, and RSA keys in PKCS#1.
func TestPEM(t *testing.T) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, d, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte, want crypto.PublicKey) {
		t.Helper()
		got, err := UnmarshalPEMToPublicKey(b)
		if err != nil {
			t.Fatal(err)
		}
		if !want.(interface{ Equal(crypto.PublicKey) bool }).Equal(got) {
			t.Errorf("%T: read another key", want)
		}
	}
	for _, private := range []key{r, e, d} {
		b, err := MarshalPublicKeyToPEM(private.Public())
		if err != nil {
			t.Fatal(err)
		}
		read(b, private.Public())
	}
	pkcs1 := &pem.Block{Type: pkcs1Type, Bytes: x509.MarshalPKCS1PublicKey(&r.PublicKey)}
	read(pem.EncodeToMemory(pkcs1), &r.PublicKey)

	for _, block := range []*pem.Block{{Type: pkixType}, {Type: pkcs1Type}, {Type: "PRIVATE KEY", Bytes: pkcs1.Bytes}} {
		if got, err := UnmarshalPEMToPublicKey(pem.EncodeToMemory(block)); err == nil {
			t.Errorf("a block %q: read a %T", block.Type, got)
		}
	}
	if _, err := UnmarshalPEMToPublicKey(nil); err == nil {
		t.Error("read a key from nothing")
	}
	if _, err := MarshalPublicKeyToPEM(nil); err == nil {
		t.Error("wrote no key")
	}
}

// FuzzPEM demands that a key that was read and is written again is the same.
func FuzzPEM(f *testing.F) {
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	b, err := MarshalPublicKeyToPEM(e.Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := UnmarshalPEMToPublicKey(b)
		if err != nil {
			return
		}
		b, err = MarshalPublicKeyToPEM(key)
		if err != nil {
			return // a kind that nobody signs with, such as DSA
		}
		again, err := UnmarshalPEMToPublicKey(b)
		if err != nil {
			t.Fatal(err)
		}
		if !key.(interface{ Equal(crypto.PublicKey) bool }).Equal(again) {
			t.Errorf("%T: read another key", key)
		}
	})
}
