package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"deltaup/mkimage/rootfs"
)

// verified reads something that must have a digest and a size. Its end is an error when it has not.
type verified struct {
	io.ReadCloser
	sum  hash.Hash
	want v1.Hash
	size int64 // bytes; -1: any
	n    int64
}

func newVerified(r io.ReadCloser, size int64, want v1.Hash) *verified {
	return &verified{ReadCloser: r, sum: sha256.New(), want: want, size: size}
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.sum.Write(p[:n])
	v.n += int64(n)
	if v.size >= 0 && v.n > v.size || err == io.EOF && v.size >= 0 && v.n != v.size {
		return 0, fmt.Errorf("%w: %s has not the %d bytes that it should have", ErrDigest, v.want,
			v.size)
	}
	if err == io.EOF {
		if got := hex.EncodeToString(v.sum.Sum(nil)); got != v.want.Hex {
			return 0, fmt.Errorf("%w: want %s, got sha256:%s", ErrDigest, v.want, got)
		}
	}
	return n, err
}

// unpacked reads the plain archive of a layer, which must have a digest, too.
type unpacked struct {
	*verified
	sent io.Closer
	done func()
}

// unpack unpacks a layer, which is read to its end.
func unpack(sent io.ReadCloser, want v1.Hash) (io.ReadCloser, error) {
	plain, done, err := rootfs.Decompress(sent)
	if err != nil {
		return nil, err
	}
	// what a decompressor leaves must not escape the other digest
	r := io.MultiReader(plain, rest{sent})
	return &unpacked{newVerified(io.NopCloser(r), -1, want), sent, done}, nil
}

func (u *unpacked) Close() error {
	u.done()
	return u.sent.Close()
}

// rest reads on to the end, which is all that it gives.
type rest struct{ r io.Reader }

func (r rest) Read([]byte) (int, error) {
	if _, err := io.Copy(io.Discard, r.r); err != nil {
		return 0, err
	}
	return 0, io.EOF
}
