package initramfs

// programDirs are where programs are looked for by name.
var programDirs = []string{"usr/bin", "usr/sbin", "bin", "sbin"}

// tools are the programs that init and deltaup.sh run, but for sh and modprobe.
var tools = []string{
	"blkid", "cat", "dd", "ln", "losetup", "mkdir", "mount", "od", "readlink", "sed", "sleep",
	"switch_root", "sync", "tail", "tr", "umount",
}

// busybox may stand for a tool that the tree lacks, except for those of util-linux.
const busybox = "busybox"

var ofUtilLinux = []string{"blkid", "losetup"}

// emptyDirs are folders of each initrd.
var emptyDirs = []string{"dev", "proc", "run", "sys", "sysroot", "tmp"}

// configFiles are files and folders of the tree that each initrd has where the tree has them: what
// modprobe and the dynamic linker read.
var configFiles = []string{
	"etc/ld.so.conf", "etc/ld.so.conf.d", "etc/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d",
}

// udevPrograms and udevFiles are what udev adds. Of the rules it takes those that name disks, and
// load drivers. Those of the device mapper run dmsetup, without which volumes have no names.
var (
	udevPrograms = []string{"usr/lib/systemd/systemd-udevd", "usr/bin/udevadm"}
	udevFiles    = []string{
		"etc/group", "etc/passwd", "etc/udev/udev.conf",
		"usr/lib/udev/ata_id", "usr/lib/udev/scsi_id",
		"usr/lib/udev/rules.d/50-firmware.rules", "usr/lib/udev/rules.d/50-udev-default.rules",
		"usr/lib/udev/rules.d/55-dm.rules", "usr/lib/udev/rules.d/56-lvm.rules",
		"usr/lib/udev/rules.d/60-block.rules",
		"usr/lib/udev/rules.d/60-persistent-storage-dm.rules",
		"usr/lib/udev/rules.d/60-persistent-storage.rules",
		"usr/lib/udev/rules.d/63-md-raid-arrays.rules",
		"usr/lib/udev/rules.d/64-md-raid-assembly.rules", "usr/lib/udev/rules.d/80-drivers.rules",
		"usr/lib/udev/rules.d/95-dm-notify.rules", "sbin/dmsetup",
	}
)

// driverModules are those of each initrd, where the tree has them: file systems, and what reaches
// the disks and consoles of most machines.
var driverModules = []string{
	// file systems, and what mounting them asks for
	"squashfs", "overlay", "loop", "ext4", "vfat", "nls_ascii", "nls_cp437", "nls_iso8859_1",
	"nls_utf8", "crc32c_generic", "crc32c_intel",
	// virtual machines
	"virtio_pci", "virtio_mmio", "virtio_blk", "virtio_scsi", "virtio_console", "virtio_rng",
	"xen_blkfront", "hv_storvsc", "hv_vmbus", "vmw_pvscsi", "pci_hyperv",
	// disks
	"ahci", "ata_piix", "ata_generic", "pata_acpi", "sd_mod", "sr_mod", "nvme", "mptspi", "mptsas",
	"mpt3sas", "megaraid_sas", "hpsa", "aacraid", "mmc_block", "sdhci_pci", "sdhci_acpi",
	"sdhci_iproc", "ufshcd_pci", "vmd", "dm_mod",
	// disks and keyboards on USB
	"xhci_pci", "xhci_plat_hcd", "ehci_pci", "ohci_pci", "uhci_hcd", "usb_storage", "uas", "usbhid",
	"hid_generic", "atkbd", "i8042",
}

// indexInputs are files of a kernel's modules of which depmod makes its own, and unusedIndexes are
// those of its own that nothing in an initrd reads.
var (
	indexInputs   = []string{"modules.order", "modules.builtin", "modules.builtin.modinfo"}
	unusedIndexes = []string{"modules.devname", "modules.symbols", "modules.symbols.bin"}
)
