// Package boottest tests counted boot with real GRUB, in QEMU on disks that it makes, from BIOS and
// UEFI. It consists of tests only. They run when DELTAUP_TEST_BOOT is set: make test-boot does
// that, and installs QEMU, GRUB and a kernel first.
//
//   - TestTable boots hundreds of states of the environment block and compares what GRUB does with
//     grubtest.Choose. The kernel is a stub that prints its command line and switches the machine
//     off.
//   - TestLife boots Linux: trials that are marked good, panic, hang, or lack their kernel.
//   - TestSystem and TestDracut boot a real Debian under systemd: an update over the network, and
//     trials that fail.
//   - TestLayers boots a Debian of which deltaup has composed image, kernel and initrd.
//   - TestModules boots Debian 13 from images with plain modules, which udev and modprobe load.
//   - TestSettings boots a Debian eight times, through two images: what tools have changed below
//     /etc stays, follows a fallback and a rollback, and never keeps it from booting. It runs with
//     make test-settings.
//   - TestPowerCut records every write of "deltaup install", cuts the power between any two, and
//     compares what GRUB and Linux then see.
package boottest
