package grub

import (
	"testing"

	"deltaup/slotboot/machine"
)

// TestUnfit says where GRUB cannot write, and why.
func TestUnfit(t *testing.T) {
	for _, x := range []struct {
		place machine.FileSystem
		want  string
	}{
		{machine.FileSystem{Type: "vfat"}, ""},
		{machine.FileSystem{Type: "ext4"}, ""},
		{machine.FileSystem{Type: "ext4", Features: []string{"a_new_one"}}, ""},
		{machine.FileSystem{Type: "btrfs"}, "GRUB does not write to btrfs"},
		{machine.FileSystem{Type: "tmpfs", Layer: "LVM"}, "GRUB does not write to tmpfs"},
		{machine.FileSystem{Type: "vfat", Layer: "RAID"}, "it lies on RAID, which GRUB does not write to"},
		{machine.FileSystem{Type: "ext4", Features: []string{"ea_inode", "inline_data"}}, "GRUB does not know its feature ea_inode, inline_data"},
		{machine.FileSystem{Type: "ext4", Features: []string{"bigalloc"}}, "GRUB does not know its feature bigalloc"},
		{machine.FileSystem{Type: "ext4", Features: []string{"casefold"}}, "GRUB does not know its feature casefold"},
	} {
		if got := unfit(&x.place); got != x.want {
			t.Errorf("%+v: %q, want %q", x.place, got, x.want)
		}
	}
}
