// Package signature replaces sigstore's package of that name: it has what go-tuf calls to verify
// and to sign. sigstore's package also signs images in registries and encrypts private keys. For
// that it imports packages that parse the names of images with regular expressions, key
// derivations, and a protobuf runtime. A command for targets would be larger by 0.3 MB, or by more
// than 4 MB with protobuf, and would never run any of it. go.mod has the replacement.
//
// The cryptography is the standard library's. What a signature is, which keys and hashes are
// accepted, and when verifying fails is as in sigstore v1.10.6. A version of go-tuf that needs more
// fails to compile.
package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of the keys
	_ "crypto/sha512"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
)

// Signer signs with one private key.
type Signer interface {
	// PublicKey is the key that verifies the signatures.
	PublicKey() (crypto.PublicKey, error)
	// SignMessage reads all of message and signs it.
	SignMessage(message io.Reader) ([]byte, error)
}

// Verifier verifies with one public key.
type Verifier interface {
	// VerifySignature reads all of both. It returns nil when signature is the key's for message.
	VerifySignature(signature, message io.Reader) error
}

// maxNumber is how many bytes a number has that P-521, the largest curve, signs with.
const maxNumber = 66

var errInvalid = errors.New("the signature is not the key's")

// LoadSigner gives the signer with an Ed25519 key, the only kind that a publisher here makes. hash
// is crypto.Hash(0), as such keys sign the message itself.
func LoadSigner(key crypto.PrivateKey, hash crypto.Hash) (Signer, error) {
	k, ok := key.(ed25519.PrivateKey)
	if !ok || len(k) != ed25519.PrivateKeySize || hash != crypto.Hash(0) {
		return nil, fmt.Errorf("cannot sign with a %T and %v", key, hash)
	}
	return ed25519Signer(k), nil
}

type ed25519Signer ed25519.PrivateKey

func (s ed25519Signer) PublicKey() (crypto.PublicKey, error) {
	return ed25519.PrivateKey(s).Public(), nil
}

func (s ed25519Signer) SignMessage(message io.Reader) ([]byte, error) {
	b, err := io.ReadAll(message)
	if err != nil {
		return nil, err
	}
	return ed25519.Sign(ed25519.PrivateKey(s), b), nil
}

// LoadVerifier gives the verifier with an Ed25519 or ECDSA key. hash is that of an ECDSA key's
// signatures.
func LoadVerifier(key crypto.PublicKey, hash crypto.Hash) (Verifier, error) {
	switch k := key.(type) {
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return verifier(func(message, signature []byte) bool {
				return ed25519.Verify(k, message, signature)
			}), nil
		}
	case *ecdsa.PublicKey:
		if k != nil && known(hash) {
			if _, err := k.Bytes(); err != nil { // the point is not on its curve
				return nil, err
			}
			return verifier(func(message, signature []byte) bool {
				return verifyECDSA(k, digest(hash, message), signature)
			}), nil
		}
	}
	return nil, fmt.Errorf("cannot verify with a %T and %v", key, hash)
}

// LoadRSAPSSVerifier gives the verifier with an RSA key. hash is that of its signatures;
// options.Hash is ignored.
func LoadRSAPSSVerifier(key *rsa.PublicKey, hash crypto.Hash, options *rsa.PSSOptions) (Verifier, error) {
	if key == nil || !known(hash) {
		return nil, fmt.Errorf("cannot verify with a %T and %v", key, hash)
	}
	return verifier(func(message, signature []byte) bool {
		return rsa.VerifyPSS(key, hash, digest(hash, message), signature, options) == nil
	}), nil
}

// known tells whether keys with a hash are accepted.
func known(hash crypto.Hash) bool {
	return slices.Contains([]crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}, hash)
}

// verifyECDSA takes a signature in ASN.1, or as IEEE P1363 has it: two numbers of the same length.
// What begins like the former is none of the latter.
func verifyECDSA(key *ecdsa.PublicKey, digest, signature []byte) bool {
	var numbers struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(signature, &numbers); err == nil {
		return ecdsa.VerifyASN1(key, digest, signature)
	}
	half := len(signature) / 2
	if half == 0 || half > maxNumber || len(signature) != 2*half {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
	return ecdsa.Verify(key, digest, r, s)
}

func digest(hash crypto.Hash, message []byte) []byte {
	h := hash.New()
	h.Write(message)
	return h.Sum(nil)
}

// verifier tells whether a signature is a key's for a message.
type verifier func(message, signature []byte) bool

func (v verifier) VerifySignature(signature, message io.Reader) error {
	s, err := io.ReadAll(signature)
	if err != nil {
		return fmt.Errorf("read a signature: %w", err)
	}
	m, err := io.ReadAll(message)
	if err != nil {
		return fmt.Errorf("read a signed message: %w", err)
	}
	if !v(m, s) {
		return errInvalid
	}
	return nil
}
