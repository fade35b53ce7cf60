// Package settingstest cuts the power of a machine with settings. It consists of tests only. They
// need root, loop devices, FUSE and qemu-storage-daemon; make test-settings brings that.
//
// TestCuts has a machine boot two images and change its settings, on a file system of ext4 whose
// disk records each request. It then computes what the disk would hold had the power failed before
// some request, mounts that, so that ext4 replays its journal, boots again, and compares.
//
// TestCutsNegative demands that the same comparison finds promises that are broken. TestHostile
// boots from data partitions that a stranger has prepared.
package settingstest
