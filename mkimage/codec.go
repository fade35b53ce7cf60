package mkimage

import (
	"fmt"

	"deltaup/chunkstore"
)

// ErrUnknownCodec is wrapped when a recipe names a codec that this program does not have.
var ErrUnknownCodec = fmt.Errorf("unknown codec: %w", chunkstore.ErrVersion)

// KnownCodec reports whether Build can compress with the codec id.
func KnownCodec(id string) bool { panic("unbuilt") }

// CodecFor gives the codec id of a level by name, see [Levels].
func CodecFor(level string) (id string, err error) { panic("unbuilt") }

// Levels names the compression levels, fastest first.
func Levels() []string { panic("unbuilt") }
