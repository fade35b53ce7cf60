// Package slotboot knows the places that images are written to. A [Slot] is a
// file or a block device: opened exclusively, unbootable from before its first
// write until its superblock is written, and read back past the page cache.
package slotboot
