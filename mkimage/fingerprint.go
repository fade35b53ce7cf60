package mkimage

import (
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
)

// Fingerprint names an image by the hash of its superblock, its tables and, if it is one of ours,
// its trailer. Since they have all names and times, and where each block is stored in how many
// bytes, an image with other contents hardly ever has the same one: only when no time was changed,
// and what was changed takes as many bytes when it is compressed. An image whose data were damaged
// has it, too.
func Fingerprint(m *squashfs.Image) (chunkstore.ID, error) {
	h := chunkstore.NewHasher()
	if _, err := io.Copy(h, m.Metadata()); err != nil {
		return chunkstore.ID{}, fmt.Errorf("fingerprint: %w", err)
	}
	t, ok, err := ReadTrailer(m)
	if err != nil {
		return chunkstore.ID{}, fmt.Errorf("fingerprint: %w", err)
	}
	if ok {
		h.Write(t.encode())
	}
	return h.ID(), nil
}
