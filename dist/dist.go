// Package dist has the files that a machine needs beside the program: units of systemd, and what an
// initramfs is made with.
package dist

import "embed"

// Files has the folders systemd, initramfs and settings.d, the rules of settings that images get.
//
//go:embed systemd initramfs settings.d
var Files embed.FS
