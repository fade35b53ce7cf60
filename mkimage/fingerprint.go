package mkimage

import (
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
)

// Fingerprint names an image by the hash of everything in it but data. Since that has all names, times, and where each block is stored in
// how many bytes, an image with other contents hardly ever has the same one; but one whose data were damaged does.
func Fingerprint(m *squashfs.Image) (chunkstore.ID, error) {
	h := chunkstore.NewHasher()
	if _, err := io.Copy(h, m.Metadata()); err != nil {
		return chunkstore.ID{}, fmt.Errorf("fingerprint: %w", err)
	}
	trailer, err := m.Trailer()
	if err != nil {
		return chunkstore.ID{}, fmt.Errorf("fingerprint: %w", err)
	}
	h.Write(trailer)
	return h.ID(), nil
}
