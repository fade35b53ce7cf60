package layers

import (
	"context"
	"fmt"

	"deltaup/mkimage/layers/oci"
)

// LockContainers adds the digests to a lock that the definition's references to registries have
// now. Of the options Cache and Keychain count.
func (d *Definition) LockContainers(ctx context.Context, l *Lock, o Options) error {
	for i := range d.Layers {
		layer := &d.Layers[i]
		if layer.Container == "" || !fromRegistry(layer.Container) {
			continue
		}
		ref, err := oci.ParseReference(layer.Container)
		if err != nil {
			return err
		}
		digest, err := oci.Resolve(ctx, ref, oci.Options{
			Architecture: d.Architecture, Cache: o.Cache, Keychain: o.Keychain,
		})
		if err != nil {
			return fmt.Errorf("layer %s: %w", layer.Name, err)
		}
		l.Containers = append(l.Containers, LockedContainer{layer.Name, digest, layer.Container})
	}
	return l.Sort()
}
