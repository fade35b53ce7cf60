// Package rootfs reads the tree of a root file system from a folder, a tar archive or any squashfs
// image. It gives a [tree.Tree], with the entries in path order.
//
// Begin with [Open], which finds out what kind of input it has, or with [FromFolder] or [FromTar].
// A folder, its tar and an image made from either give the same entries.
//
// The package does not trust its inputs. It checks names; an input that contradicts itself is an
// error that wraps [ErrMalformed], and one that would take hours or all memory wraps [ErrTooLarge].
// It examines entries that Options.Filter leaves out, or that lie outside Options.Subdir, only as
// far as it takes to know that. [FromLayers] puts together the layers of a container image, which are
// no tree one by one, see [ErrContainer].
package rootfs
