// Package dist has the files that a machine needs beside the program: units of systemd, and what an
// initramfs is made with.
package dist

import "embed"

// Files has the folders systemd and initramfs.
//
//go:embed systemd initramfs
var Files embed.FS
