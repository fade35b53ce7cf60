// Package cryptoutils replaces sigstore's package of that name: it has the two functions that
// go-tuf calls. See the package signature beside it.
package cryptoutils

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// The types of PEM blocks that hold a public key.
const (
	pkixType  = "PUBLIC KEY"
	pkcs1Type = "RSA PUBLIC KEY"
)

// UnmarshalPEMToPublicKey reads a public key from the first PEM block of b: a PKIX one, or an RSA
// key in PKCS#1.
func UnmarshalPEMToPublicKey(b []byte) (crypto.PublicKey, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("a public key is not PEM")
	}
	switch block.Type {
	case pkixType:
		return x509.ParsePKIXPublicKey(block.Bytes)
	case pkcs1Type:
		return x509.ParsePKCS1PublicKey(block.Bytes)
	}
	return nil, fmt.Errorf("a PEM block %q is no public key", block.Type)
}

// MarshalPublicKeyToPEM writes a public key as a PKIX PEM block.
func MarshalPublicKeyToPEM(key crypto.PublicKey) ([]byte, error) {
	b, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pkixType, Bytes: b}), nil
}
