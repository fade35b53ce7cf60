package signature

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
)

var message = []byte("what was signed")

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refusals demands that a verifier takes a signature, and none that differs from it in a bit, in
// its length, or in what was signed.
func refusals(t *testing.T, v Verifier, signature []byte) {
	t.Helper()
	verify := func(s, m []byte) error { return v.VerifySignature(bytes.NewReader(s), bytes.NewReader(m)) }
	must(t, verify(signature, message))
	for i := range signature {
		s := slices.Clone(signature)
		s[i] ^= 1
		if verify(s, message) == nil {
			t.Errorf("it takes a signature with another byte %d", i)
		}
	}
	for _, s := range [][]byte{nil, signature[1:], signature[:len(signature)-1], append(slices.Clone(signature), 0),
		make([]byte, len(signature)), bytes.Repeat([]byte{1}, 1<<20)} {
		if verify(s, message) == nil {
			t.Errorf("it takes a signature of %d bytes", len(s))
		}
	}
	for _, m := range [][]byte{nil, message[1:], append(slices.Clone(message), 0)} {
		if verify(signature, m) == nil {
			t.Errorf("it takes the signature of %q for %q", message, m)
		}
	}
}

func TestEd25519(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	s, err := LoadSigner(private, crypto.Hash(0))
	must(t, err)
	got, err := s.PublicKey()
	must(t, err)
	if !public.Equal(got) {
		t.Error("the signer's public key is another")
	}
	signature, err := s.SignMessage(bytes.NewReader(message))
	must(t, err)
	if !ed25519.Verify(public, message, signature) {
		t.Error("the signature is not one of the message")
	}
	v, err := LoadVerifier(public, crypto.Hash(0))
	must(t, err)
	refusals(t, v, signature)
}

func TestECDSA(t *testing.T) {
	for _, c := range []struct {
		curve elliptic.Curve
		hash  crypto.Hash
	}{{elliptic.P256(), crypto.SHA256}, {elliptic.P384(), crypto.SHA384}, {elliptic.P521(), crypto.SHA512}} {
		t.Run(c.curve.Params().Name, func(t *testing.T) {
			key, err := ecdsa.GenerateKey(c.curve, rand.Reader)
			must(t, err)
			v, err := LoadVerifier(&key.PublicKey, c.hash)
			must(t, err)
			signature, err := ecdsa.SignASN1(rand.Reader, key, digest(c.hash, message))
			must(t, err)
			refusals(t, v, signature)

			var numbers struct{ R, S *big.Int }
			_, err = asn1.Unmarshal(signature, &numbers)
			must(t, err)
			length := (c.curve.Params().BitSize + 7) / 8
			refusals(t, v, append(numbers.R.FillBytes(make([]byte, length)), numbers.S.FillBytes(make([]byte, length))...))
		})
	}
}

// TestAmbiguousECDSA demands that two numbers which also read as ASN.1 are taken for that alone, as
// sigstore does. The signatures were chosen first: r and s are a key's, (s R - z G) / r, where R is
// a point with r as x, and z is what was signed.
func TestAmbiguousECDSA(t *testing.T) {
	for _, c := range []struct {
		key, signature string
		taken          bool
	}{{
		"04dad6025696016caa83ae8b4efca145a10123d87d81913c1f548ac340880a1af6" +
			"b74f18d60039d2fdb2994320a1c1754082e858c470692de70f955909d2ae7916",
		"3106020101020101000000000000000000000000000000000000000000000004" +
			"0000000000000000000000000000000000000000000000000000000000000005", true,
	}, {
		"04b1f5131fcf2d0fd5097e75b454d8d31d50d8cb457621a0db6f99a8446bf9c349" +
			"00bc64c09c8e40113c0ff3fad00c376a794d173ada69c05a3b4350b76925534c",
		"3006020101020101000000000000000000000000000000000000000000000002" +
			"0000000000000000000000000000000000000000000000000000000000000005", false,
	}} {
		point, err := hex.DecodeString(c.key)
		must(t, err)
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		must(t, err)
		signature, err := hex.DecodeString(c.signature)
		must(t, err)
		v, err := LoadVerifier(key, crypto.SHA256)
		must(t, err)
		if err = v.VerifySignature(bytes.NewReader(signature), bytes.NewReader(message)); (err == nil) != c.taken {
			t.Errorf("a signature that begins with %x: %v", signature[:8], err)
		}
	}
}

func TestRSA(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	for _, salt := range []int{rsa.PSSSaltLengthEqualsHash, 20} {
		v, err := LoadRSAPSSVerifier(&key.PublicKey, crypto.SHA256, &rsa.PSSOptions{Hash: crypto.SHA256})
		must(t, err)
		signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest(crypto.SHA256, message), &rsa.PSSOptions{SaltLength: salt})
		must(t, err)
		refusals(t, v, signature)
	}
	old, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest(crypto.SHA256, message))
	must(t, err)
	v, err := LoadRSAPSSVerifier(&key.PublicKey, crypto.SHA256, nil)
	must(t, err)
	if v.VerifySignature(bytes.NewReader(old), bytes.NewReader(message)) == nil {
		t.Error("it takes a signature of PKCS #1 v1.5")
	}
}

// TestOtherKeys demands an error, rather than a verifier that panics, for keys and hashes that are
// not accepted.
func TestOtherKeys(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	//lint:ignore SA1019 no other way leads to a point beside the curve
	off := ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}
	for _, c := range []struct {
		key  crypto.PublicKey
		hash crypto.Hash
	}{
		{nil, crypto.SHA256}, {"key", crypto.SHA256}, {ed25519.PublicKey{1}, 0}, {(*ecdsa.PublicKey)(nil), crypto.SHA256},
		{&key.PublicKey, 0}, {&key.PublicKey, crypto.SHA1}, {&off, crypto.SHA256}, {&rsa.PublicKey{}, crypto.SHA256},
	} {
		name := fmt.Sprintf("%T with %v", c.key, c.hash)
		if _, err := LoadVerifier(c.key, c.hash); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, private := range []crypto.PrivateKey{nil, key, ed25519.PrivateKey{1}} {
		if _, err := LoadSigner(private, crypto.Hash(0)); err == nil {
			t.Errorf("it signs with a %T", private)
		}
	}
	if _, err := LoadRSAPSSVerifier(nil, crypto.SHA256, nil); err == nil {
		t.Error("it verifies with no RSA key")
	}
	if _, err := LoadRSAPSSVerifier(&rsa.PublicKey{N: big.NewInt(1), E: 3}, crypto.MD5, nil); err == nil {
		t.Error("it verifies hashes of MD5")
	}
}
