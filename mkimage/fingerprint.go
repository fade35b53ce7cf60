package mkimage

import (
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
)

// Fingerprint names an image by the hash of its superblock, its tables and, if Build made it, its
// trailer. These hold all names and times, and the place and length of each stored block. So an
// image with other contents hardly ever has the same fingerprint: only when no time changed and
// each changed block compresses to the same number of bytes. Damage to the data does not change the
// fingerprint.
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
