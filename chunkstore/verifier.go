package chunkstore

import (
	"fmt"
	"io"
)

// Verifier passes on bytes whose id and size are known beforehand, counts and hashes them. It gives
// the last of them only when all are right: a caller who knows the size may stop there, without
// reading on to io.EOF. Until then no byte is verified.
//
// Reset makes the zero Verifier ready.
type Verifier struct {
	r         io.Reader
	id        ID
	size, got int64
	hasher    *Hasher
	one       [1]byte
	err       error // of every Read to come
}

// NewVerifier returns a Verifier that reads r, which should give size bytes with that id. Of a
// [StandIn] it verifies the size alone.
func NewVerifier(r io.Reader, id ID, size int64) *Verifier {
	v := new(Verifier)
	v.Reset(r, id, size)
	return v
}

// Reset begins anew, as NewVerifier does. Of r the Verifier reads size bytes, and one more to see
// whether r ends.
func (v *Verifier) Reset(r io.Reader, id ID, size int64) {
	v.r, v.id, v.size, v.got, v.err = r, id, size, 0, nil
	if v.hasher == nil {
		v.hasher = NewHasher()
	}
	v.hasher.Reset()
}

// Read implements io.Reader. Instead of io.EOF its error is a *[Mismatch], not wrapped, when r
// gives other bytes. Errors of r come as they are. Every later Read gives the same error.
func (v *Verifier) Read(p []byte) (int, error) {
	if v.err != nil || len(p) == 0 {
		return 0, v.err
	}
	var n int
	var err error
	if left := v.size - v.got; left > 0 {
		n, err = v.r.Read(p[:min(int64(len(p)), left)])
		if !v.id.IsStandIn() {
			v.hasher.Write(p[:n])
		}
		v.got += int64(n)
	}
	last := v.got >= v.size
	if last && err == nil {
		err = v.readOn()
	}
	if err == io.EOF {
		err = v.verdict()
	}
	v.err = err
	if last && err != io.EOF {
		return 0, err
	}
	return n, err
}

// readOn reads one byte more than there should be. Its error is never nil, and io.EOF where r ends.
func (v *Verifier) readOn() error {
	n, err := io.ReadFull(v.r, v.one[:])
	v.got += int64(n)
	if n > 0 {
		return v.mismatch()
	}
	return err
}

// verdict judges all of r: io.EOF, or a mismatch.
func (v *Verifier) verdict() error {
	if v.got == v.size && (v.id.IsStandIn() || v.hasher.ID() == v.id) {
		return io.EOF
	}
	return v.mismatch()
}

func (v *Verifier) mismatch() *Mismatch {
	return &Mismatch{WantID: v.id, GotID: v.hasher.ID(), WantSize: v.size, GotSize: v.got}
}

// Mismatch is the error of bytes that differ from what their id and size say. It wraps
// [ErrCorrupt].
type Mismatch struct {
	WantID, GotID     ID    // GotID is that of the first WantSize bytes, or of none for a stand-in
	WantSize, GotSize int64 // bytes; GotSize is WantSize+1 when there are more
}

// Error implements error.
func (m *Mismatch) Error() string {
	switch {
	case m.GotSize > m.WantSize:
		return fmt.Sprintf("%v: more than %d bytes", ErrCorrupt, m.WantSize)
	case m.GotSize < m.WantSize:
		return fmt.Sprintf("%v: %d bytes, expected %d", ErrCorrupt, m.GotSize, m.WantSize)
	}
	return fmt.Sprintf("%v: its bytes are those of %s, expected %s", ErrCorrupt, m.GotID, m.WantID)
}

// Unwrap returns ErrCorrupt.
func (m *Mismatch) Unwrap() error { return ErrCorrupt }
