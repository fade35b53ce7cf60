package layers

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// LockedLayer says by hash what a layer asked apt or apk for when it was locked. It is a line of
// the file: layer and digest, with a space between.
type LockedLayer struct{ Layer, Digest string }

// LockedLayers gives what the layers of packages ask apt or apk for, for their lock. What earlier
// layers ask for belongs to it, since a later layer has only what these lack.
func (d *Definition) LockedLayers() (list []LockedLayer) {
	h := sha256.New()
	switch {
	case d.Alpine():
		fmt.Fprintf(h, "apk %s\n", d.ApkArchitecture())
	case d.Apt.Recommends:
		fmt.Fprintf(h, "%s\nrecommends\n", d.Architecture)
	default:
		fmt.Fprintf(h, "%s\n", d.Architecture)
	}
	for i := range d.Layers {
		l := &d.Layers[i]
		if len(l.Packages) == 0 {
			continue
		}
		fmt.Fprintf(h, "%s\n", strings.Join(l.Packages, "\n"))
		list = append(list, LockedLayer{l.Name, "sha256:" + hex.EncodeToString(h.Sum(nil))})
	}
	return list
}

// fits tells whether a lock was made of a definition that asks for the same packages: with another
// one the tree would silently lack some.
func (l *Lock) fits(d *Definition) error {
	locked := map[string]string{}
	if l != nil {
		for _, r := range l.Layers {
			locked[r.Layer] = r.Digest
		}
	}
	wanted := d.LockedLayers()
	for _, r := range wanted {
		switch digest, ok := locked[r.Layer]; {
		case !ok:
			return fmt.Errorf("%w: it does not have the layer %s", ErrLock, r.Layer)
		case digest != r.Digest:
			return fmt.Errorf("%w: the layer %s asks for other packages than when it was locked",
				ErrLock, r.Layer)
		}
		delete(locked, r.Layer)
	}
	for layer := range locked {
		return fmt.Errorf("%w: the definition does not have its layer %s", ErrLock, layer)
	}
	return nil
}
