// Package overlay reads and makes the upper folder of an overlayfs, and mounts one.
package overlay
