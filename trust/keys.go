//go:build !target

package trust

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/internal/durable"
	"deltaup/internal/plainfile"
)

const (
	rootFile   = "root.json" // in a folder of keys: the newest root, in the form that targets read
	keySuffix  = ".age"
	keyIDShort = 16      // hex digits of a key's id in the name of its file
	maxKeyFile = 4 << 10 // bytes
	pemType    = "PRIVATE KEY"
)

// DefaultWork is the scrypt work factor, as the exponent of two, of new private keys: each try of a
// passphrase takes about a second and 256 MiB.
const DefaultWork = 18

// Passphrases gives the passphrases to try on the key in a file, in that order.
type Passphrases func(path string) ([]string, error)

// keyRing reads folders of private keys. Each key is a file ROLE-ID.age: a PKCS#8 key in PEM,
// encrypted with age under a passphrase. keyRing decrypts a key when it is first needed.
type keyRing struct {
	dirs        []string
	passphrases Passphrases
	opened      map[string]ed25519.PrivateKey // decrypted keys, by id
}

func newKeyRing(dirs []string, p Passphrases) *keyRing {
	return &keyRing{dirs: dirs, passphrases: p, opened: map[string]ed25519.PrivateKey{}}
}

// keyFile is the name of a key's file.
func keyFile(role, id string) string { return role + "-" + id[:keyIDShort] + keySuffix }

// find gives the path of a key's file, or false when no folder has it.
func (r *keyRing) find(id string) (string, bool) {
	if len(id) < keyIDShort {
		return "", false
	}
	for _, dir := range r.dirs {
		entries, _ := os.ReadDir(dir) // an unreadable folder offers no key
		for _, e := range entries {
			if short, ok := keyOf(e.Name()); ok && short == id[:keyIDShort] {
				return filepath.Join(dir, e.Name()), true
			}
		}
	}
	return "", false
}

// keyOf gives the shortened id in the name of a key's file, or false for another file's name.
func keyOf(name string) (short string, ok bool) {
	name, ok = strings.CutSuffix(name, keySuffix)
	if i := strings.LastIndexByte(name, '-'); ok && i >= 0 {
		return name[i+1:], true
	}
	return "", false
}

// has tells whether there is a file of the key.
func (r *keyRing) has(id string) bool {
	_, ok := r.find(id)
	return ok || r.opened[id] != nil
}

// signer gives a signer with the key, which it decrypts if that has not been done.
func (r *keyRing) signer(id string) (signature.Signer, error) {
	key := r.opened[id]
	if key == nil {
		path, ok := r.find(id)
		if !ok {
			return nil, fmt.Errorf("key %s: %w", id, fs.ErrNotExist)
		}
		var err error
		if key, err = r.open(path, id); err != nil {
			return nil, fmt.Errorf("key %s: %w", path, err)
		}
		r.opened[id] = key
	}
	return signature.LoadSigner(key, crypto.Hash(0))
}

func (r *keyRing) open(path, id string) (ed25519.PrivateKey, error) {
	sealed, err := plainfile.Read(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	passphrases, err := r.passphrases(path)
	if err != nil {
		return nil, err
	}
	for _, p := range passphrases {
		key, err := decryptKey(sealed, p)
		if errors.Is(err, ErrPassphrase) {
			continue
		}
		if err != nil {
			return nil, err
		}
		_, got, err := publicKey(key)
		if err == nil && got != id {
			err = fmt.Errorf("it holds the key %s", got)
		}
		return key, err
	}
	return nil, ErrPassphrase
}

// add makes a new key and writes it durably into the first folder. It returns the public key and
// its id.
func (r *keyRing) add(role, passphrase string, work int) (*metadata.Key, string, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, "", err
	}
	public, id, err := publicKey(key)
	if err != nil {
		return nil, "", err
	}
	sealed, err := encryptKey(key, passphrase, work)
	if err != nil {
		return nil, "", err
	}
	path := filepath.Join(r.dirs[0], keyFile(role, id))
	err = durable.WriteSecret(r.dirs[0], path, func(w io.Writer) error {
		_, err := w.Write(sealed)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	r.opened[id] = key
	return public, id, nil
}

func publicKey(key ed25519.PrivateKey) (*metadata.Key, string, error) {
	public, err := metadata.KeyFromPublicKey(key.Public())
	if err != nil {
		return nil, "", err
	}
	id, err := public.ID()
	return public, id, err
}

func encryptKey(key ed25519.PrivateKey, passphrase string, work int) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	to.SetWorkFactor(work)
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to)
	if err != nil {
		return nil, err
	}
	if err := pem.Encode(w, &pem.Block{Type: pemType, Bytes: der}); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

// decryptKey decrypts the content of a key's file. Its error wraps ErrPassphrase when the
// passphrase is wrong.
func decryptKey(sealed []byte, passphrase string) (ed25519.PrivateKey, error) {
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), id)
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxKeyFile))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(plain)
	if block == nil || block.Type != pemType {
		return nil, errors.New("it holds no private key")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("it holds no Ed25519 key")
	}
	return key, nil
}

// files gives the paths of the key files of all folders, by the shortened id in their names.
func (r *keyRing) files() (map[string]string, error) {
	found := map[string]string{}
	for _, dir := range r.dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if short, ok := keyOf(e.Name()); ok && found[short] == "" {
				found[short] = filepath.Join(dir, e.Name())
			}
		}
	}
	return found, nil
}

// readRoot reads the root beside the keys, from the first folder that has one.
func (r *keyRing) readRoot() ([]byte, error) {
	for _, dir := range r.dirs {
		b, err := plainfile.Read(filepath.Join(dir, rootFile), maxRoot)
		if !errors.Is(err, fs.ErrNotExist) {
			return b, err
		}
	}
	return nil, fmt.Errorf("%s: %w", filepath.Join(r.dirs[0], rootFile), fs.ErrNotExist)
}
