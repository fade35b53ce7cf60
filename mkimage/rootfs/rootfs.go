// Package rootfs reads a root file system's tree from where it is: a folder, a
// tar archive or a squashfs image of anybody. It gives the entries in path order
// and opens their contents; what becomes of them is package mkimage's business.
//
// Start with [Open], which tells the kinds apart by looking, or with one of
// [FromFolder], [FromTar] and [FromImage]. A folder, its tar and an image made of
// either give the same entries.
//
// Inputs are not trusted: names are checked, and what contradicts itself is an error that wraps
// [ErrMalformed]; what would take hours or all memory is [ErrTooLarge]. What Options.Filter leaves
// out, or what lies outside Options.Subdir, is not looked at further than it takes to know that.
// Layers of containers are not put together: see [ErrContainer].
package rootfs
