package mirror

import (
	"fmt"

	"deltaup/chunkstore"
)

// pointerFormat is the only version of pointers that this program knows.
const pointerFormat = 1

// Pointer is the file channels/NAME.json: which release is a channel's newest. It changes, as
// nothing else on a mirror does but the signed timestamp, by which targets go instead where there
// is one.
type Pointer struct {
	Format  int           `json:"format"` // 1
	Channel string        `json:"channel"`
	Version string        `json:"version"`
	Release Object        `json:"release"` // the release file
	Sum     chunkstore.ID `json:"sum"`     // of this file with a sum of "-"; set by Marshal
}

// Marshal encodes a pointer; what it returns is the only encoding that [ParsePointer] takes.
func (p Pointer) Marshal() ([]byte, error) {
	p.Format = pointerFormat
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("encode pointer %q: %w", p.Channel, err)
	}
	p.Sum = chunkstore.ID{}
	unsealed, err := encodeJSON(p)
	if err != nil {
		return nil, err
	}
	p.Sum = chunkstore.Sum(unsealed)
	return encodeJSON(p)
}

// ParsePointer decodes a pointer and verifies its sum, names and sizes. Errors wrap
// chunkstore.ErrCorrupt or chunkstore.ErrVersion.
func ParsePointer(b []byte) (*Pointer, error) {
	var p Pointer
	if err := decodeJSON(b, "pointer", MaxPointerSize, pointerFormat, &p); err != nil {
		return nil, err
	}
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("pointer %q: %w: %w", p.Channel, chunkstore.ErrCorrupt, err)
	}
	if err := sameBytes(p.Marshal, b, "pointer"); err != nil {
		return nil, err
	}
	return &p, nil
}

func (p *Pointer) validate() error {
	if err := CheckName("channel", p.Channel); err != nil {
		return err
	}
	if err := CheckName("version", p.Version); err != nil {
		return err
	}
	if err := p.Release.validate(MaxReleaseSize); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}
