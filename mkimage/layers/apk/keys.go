package apk

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strings"

	"deltaup/internal/plainfile"
)

// Keys are the public keys of those who make packages, by the names of their files, such as
// alpine-devel@lists.alpinelinux.org-4a6a0840.rsa.pub.
type Keys map[string]*rsa.PublicKey

const keyMax = 64 << 10 // bytes of a key's file

// ReadKeys reads the keys in a folder, see [EachKey].
func ReadKeys(dir string) (Keys, error) {
	keys := Keys{}
	err := EachKey(dir, func(name string, text []byte) (err error) {
		keys[name], err = parseKey(text)
		return err
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// EachKey gives the name and the text of each key in a folder such as Alpine's etc/apk/keys: of the
// files that end in .pub. Errors of use get the file's path.
func EachKey(dir string, use func(name string, text []byte) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".pub") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		text, err := plainfile.Read(path, keyMax)
		if err != nil {
			return err
		}
		if err := use(e.Name(), text); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// parseKey reads a public key of RSA in PEM. Errors wrap ErrSignature.
func parseKey(text []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%w: no public key in PEM", ErrSignature)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: the key is none of RSA", ErrSignature)
	}
	return public, nil
}

// digests are the hashes of a control archive, as it lies in the file.
type digests struct{ sha1, sha256, sha512 hash.Hash }

func (d digests) all() []hash.Hash { return []hash.Hash{d.sha1, d.sha256, d.sha512} }

func (d digests) reset() {
	for _, h := range d.all() {
		h.Reset()
	}
}

// verifyV2 gives the name of the key that has signed a control archive. The signature's file is
// called .SIGN.RSA.KEY, .SIGN.RSA256.KEY or .SIGN.RSA512.KEY, by the hash that is signed.
func (k Keys) verifyV2(signatures map[string][]byte, d digests) (string, error) {
	for name, signature := range signatures {
		kind, signer, _ := strings.Cut(strings.TrimPrefix(name, signPrefix), ".")
		key := k[signer]
		if key == nil {
			continue
		}
		var err error
		switch kind {
		case "RSA":
			err = rsa.VerifyPKCS1v15(key, crypto.SHA1, d.sha1.Sum(nil), signature)
		case "RSA256":
			err = rsa.VerifyPKCS1v15(key, crypto.SHA256, d.sha256.Sum(nil), signature)
		case "RSA512":
			err = rsa.VerifyPKCS1v15(key, crypto.SHA512, d.sha512.Sum(nil), signature)
		default:
			continue
		}
		if err != nil {
			return "", fmt.Errorf("%w: %s: %w", ErrSignature, name, err)
		}
		return signer, nil
	}
	return "", fmt.Errorf("%w: %d signatures, none by one of %d keys", ErrSignature, len(signatures),
		len(k))
}

// signature is a signature of the third generation: version, hash, the key's id, and what RSA gives
// for the SHA-512 of schema, these, and the database's hash.
type signature []byte

const signHeader = 18 // bytes: version 1, hash 1, id 16

// The numbers of hashes in signatures.
const (
	hashSHA256 = 3
	hashSHA512 = 4
)

// verifyV3 gives the name of the key that has signed a database; "": it is none of these keys.
func (k Keys) verifyV3(s signature, schema uint32, sums map[byte][]byte) (string, error) {
	if len(s) < signHeader || s[0] != 0 {
		return "", nil // of a later version
	}
	sum, ok := sums[s[1]]
	if !ok {
		return "", nil
	}
	for name, key := range k {
		id := sha512.Sum512(x509.MarshalPKCS1PublicKey(key))
		if string(id[:16]) != string(s[2:signHeader]) {
			continue
		}
		h := sha512.New()
		h.Write(binary.LittleEndian.AppendUint32(nil, schema))
		h.Write(s[:signHeader])
		h.Write(sum)
		if err := rsa.VerifyPKCS1v15(key, crypto.SHA512, h.Sum(nil), s[signHeader:]); err != nil {
			return "", fmt.Errorf("%w: %s: %w", ErrSignature, name, err)
		}
		return name, nil
	}
	return "", nil
}
