package chunkstore

import (
	"encoding/hex"
	"fmt"

	"github.com/zeebo/blake3"
)

// holeText is the text of the zero ID.
const holeText = "-"

// Sum is the ID of p.
func Sum(p []byte) ID { return blake3.Sum256(p) }

// Hasher computes the ID of what is written to it. It never fails.
type Hasher struct{ h *blake3.Hasher }

// NewHasher returns a Hasher of no bytes yet.
func NewHasher() *Hasher { return &Hasher{h: blake3.New()} }

// Write adds p. Its error is always nil.
func (h *Hasher) Write(p []byte) (int, error) { return h.h.Write(p) }

// ID is the id of all bytes written so far. Writing may go on after it.
func (h *Hasher) ID() ID {
	var id ID
	h.h.Sum(id[:0])
	return id
}

// Reset forgets what was written.
func (h *Hasher) Reset() { h.h.Reset() }

// ParseID reads 64 lower-case hex digits, the only form of an id in names and files.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != hex.EncodedLen(len(id)) {
		return ID{}, fmt.Errorf("id %.80q: %w: not 64 hex digits", s, ErrCorrupt)
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ID{}, fmt.Errorf("id %.80q: %w: not lower-case hex", s, ErrCorrupt)
		}
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil || id.IsStandIn() {
		return ID{}, fmt.Errorf("id %.80q: %w: no bytes have it", s, ErrCorrupt)
	}
	return id, nil
}

// StandIn names bytes whose id is not known yet: by the first half of key, which is not zero. No
// bytes have such an id, and no file has it.
func StandIn(key ID) (id ID) {
	copy(id[len(id)/2:], key[:])
	return id
}

// IsStandIn tells whether StandIn has made id, so that nothing can be verified with it.
func (id ID) IsStandIn() bool { return [len(id) / 2]byte(id[:]) == [len(id) / 2]byte{} && !id.IsZero() }

// String is the id in lower-case hex, the zero ID included.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// IsZero tells whether id marks a hole.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText is String, except that the zero ID is "-".
func (id ID) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return []byte(holeText), nil
	}
	return hex.AppendEncode(nil, id[:]), nil
}

// UnmarshalText reads what MarshalText writes and nothing else.
func (id *ID) UnmarshalText(text []byte) error {
	if string(text) == holeText {
		*id = ID{}
		return nil
	}
	v, err := ParseID(string(text))
	if err != nil {
		return err
	}
	if v.IsZero() {
		return fmt.Errorf("id %q: %w: a hole is written %q", text, ErrCorrupt, holeText)
	}
	*id = v
	return nil
}

// IsHole tells whether c is a run of zero bytes that is stored nowhere.
func (c Chunk) IsHole() bool { return c.ID.IsZero() }
