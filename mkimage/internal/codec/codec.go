// Package codec names encoders whose output never changes: a recipe that names an encoder's id must
// give the same bytes on every machine and with every later version of this program. Images and
// initrds have a [Table] each, since the output for one may change when that for the other does
// not.
package codec

import (
	"errors"
	"fmt"
	"strings"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
)

var (
	// ErrUnknown is wrapped when a recipe names a codec that this program does not have.
	ErrUnknown = fmt.Errorf("unknown codec: %w", chunkstore.ErrVersion)
	// errUnknownLevel is wrapped when there is no level with a name.
	errUnknownLevel = errors.New("unknown compression level")
)

// Codec is an encoder with one level.
type Codec struct {
	level string // as on the command line
	ID    string // KIND-LEVEL.GENERATION
	Speed zstd.EncoderLevel
}

// Table has the codecs of all levels, fastest first.
type Table []Codec

// defaultLevel is what an empty level means.
const defaultLevel = "best"

// Zstd gives the codecs of a kind and a generation, with ids like "zstd-best.1" for kind "zstd" and
// generation 1. When a new version of the module writes other bytes, which golden hashes show, the
// kind needs a new generation. Generation 1 of all kinds is klauspost/compress v1.20.
func Zstd(kind string, generation int) Table {
	t := Table{
		{level: "fastest", Speed: zstd.SpeedFastest},
		{level: "default", Speed: zstd.SpeedDefault},
		{level: "better", Speed: zstd.SpeedBetterCompression},
		{level: "best", Speed: zstd.SpeedBestCompression},
	}
	for i := range t {
		t[i].ID = fmt.Sprintf("%s-%s.%d", kind, t[i].level, generation)
	}
	return t
}

// Find gives the codec with an id. Its errors wrap ErrUnknown.
func (t Table) Find(id string) (*Codec, error) {
	for i := range t {
		if t[i].ID == id {
			return &t[i], nil
		}
	}
	return nil, fmt.Errorf("codec %.70q, this program has %s to %s: %w", id, t[0].ID,
		t[len(t)-1].ID, ErrUnknown)
}

// Has reports whether there is a codec with the id.
func (t Table) Has(id string) bool {
	_, err := t.Find(id)
	return err == nil
}

// ForLevel gives the id of the codec with a level; "" is the best. Its errors wrap errUnknownLevel.
func (t Table) ForLevel(level string) (id string, err error) {
	if level == "" {
		level = defaultLevel
	}
	for i := range t {
		if t[i].level == level {
			return t[i].ID, nil
		}
	}
	return "", fmt.Errorf("%w %q, there are %s", errUnknownLevel, level,
		strings.Join(t.Levels(), ", "))
}

// Levels names the levels, fastest first.
func (t Table) Levels() []string {
	names := make([]string, len(t))
	for i := range t {
		names[i] = t[i].level
	}
	return names
}
