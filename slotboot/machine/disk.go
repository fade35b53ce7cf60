package machine

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// lookAtDisk fills in what the disk tells of a FAT or an ext2, ext3 or ext4. The machine is that of
// the kernel.
func (m Machine) lookAtDisk(f *FileSystem, mount *mountinfo.Info) {
	var read func(*os.File) (uuid string, features []string, err error)
	switch f.Type {
	case "vfat", "msdos":
		read = readFAT
	case "ext2", "ext3", "ext4":
		read = readExt
	default:
		return
	}
	layer, err := m.layer(f.Device)
	if err != nil {
		f.Unknown = err.Error()
	}
	if f.Layer = layer; layer != "" {
		f.UUID = m.linkedUUID(mount)
		return
	}
	device, err := m.openDevice(f.Device)
	if err == nil {
		f.UUID, f.Features, err = read(device)
		device.Close() // read only
	}
	if f.UUID == "" {
		f.UUID = m.linkedUUID(mount)
	}
	// A machine that is described by files need not describe its disks.
	if err != nil && !(errors.Is(err, fs.ErrNotExist) && m.described()) {
		f.Unknown = err.Error()
	}
}

// layer names what lies between a device and its disk, "" for a plain partition or disk.
func (m Machine) layer(device string) (string, error) {
	dir := "/sys/dev/block/" + device
	if _, err := os.Stat(m.Path(dir)); err != nil && !m.described() {
		return "", fmt.Errorf("whether LVM or RAID lies below it: %w", err)
	}
	for _, d := range []string{dir, dir + "/.."} { // a partition's disk is the folder above
		if uuid, err := m.read(d + "/dm/uuid"); err == nil {
			kind, _, _ := strings.Cut(strings.TrimSpace(string(uuid)), "-")
			switch kind {
			case "LVM":
				return "LVM", nil
			case "CRYPT":
				return "an encrypted device", nil
			}
			return "a device mapper device (" + cmp.Or(kind, "unknown") + ")", nil
		}
		if _, err := os.Stat(m.Path(d + "/md")); err == nil {
			return "RAID", nil
		}
	}
	return "", nil
}

// linkedUUID looks for the device among the links of udev.
func (m Machine) linkedUUID(i *mountinfo.Info) string {
	links, err := os.ReadDir(m.Path("/dev/disk/by-uuid"))
	if err != nil {
		return ""
	}
	for _, l := range links {
		if isDevice(m.Path("/dev/disk/by-uuid/"+l.Name()),
			unix.Mkdev(uint32(i.Major), uint32(i.Minor))) {
			return l.Name()
		}
	}
	return ""
}

func isDevice(path string, number uint64) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK && st.Rdev == number
}

// openDevice opens a block device by its number.
func (m Machine) openDevice(device string) (*os.File, error) {
	b, err := m.read("/sys/dev/block/" + device + "/uevent")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "DEVNAME=")
		if !ok {
			continue
		}
		path := m.Path("/dev/" + name)
		var major, minor uint32
		if _, err := fmt.Sscanf(device, "%d:%d", &major, &minor); err != nil {
			return nil, fmt.Errorf("device %s: %w", device, err)
		}
		if !m.described() && !isDevice(path, unix.Mkdev(major, minor)) {
			return nil, fmt.Errorf("device %s: %w: %s is not it", device, fs.ErrNotExist, path)
		}
		return os.Open(path)
	}
	return nil, fmt.Errorf("device %s: the kernel does not tell its name", device)
}

// Fields of an ext4 superblock, see Documentation/filesystems/ext4/super.rst of Linux.
const (
	extSuperblock = 1024
	extMagicAt    = 0x38
	extMagic      = 0xef53
	extIncompatAt = 0x60
	extROCompatAt = 0x64
	extUUIDAt     = 0x68
	extUUIDEnd    = 0x78
)

// The features of ext4 that other readers than Linux may not know.
var (
	extIncompat = map[uint32]string{0x400: "ea_inode", 0x8000: "inline_data", 0x20000: "casefold"}
	extROCompat = map[uint32]string{0x200: "bigalloc"}
)

// readExt reads the superblock of an ext2, ext3 or ext4: its UUID and the features above.
func readExt(f *os.File) (uuid string, features []string, err error) {
	sb := make([]byte, extUUIDEnd)
	if _, err := f.ReadAt(sb, extSuperblock); err != nil {
		return "", nil, fmt.Errorf("%s: superblock: %w", f.Name(), err)
	}
	if binary.LittleEndian.Uint16(sb[extMagicAt:]) != extMagic {
		return "", nil, fmt.Errorf("%s: no ext4 superblock", f.Name())
	}
	for _, part := range []struct {
		at    int
		names map[uint32]string
	}{{extIncompatAt, extIncompat}, {extROCompatAt, extROCompat}} {
		bits := binary.LittleEndian.Uint32(sb[part.at:])
		for bit := uint32(1); bit != 0; bit <<= 1 {
			if name := part.names[bit]; name != "" && bits&bit != 0 {
				features = append(features, name)
			}
		}
	}
	id := sb[extUUIDAt:extUUIDEnd]
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]), features, nil
}

// Fields of a FAT's first sector. Boot loaders look at the names of the type, too.
const (
	fatSector   = 512
	fat16Serial = 0x27 // of FAT12 as well
	fat16Type   = 0x36
	fat32Serial = 0x43
	fat32Type   = 0x52
)

// readFAT reads the first sector of a FAT: its serial number, as udev and GRUB spell it.
func readFAT(f *os.File) (uuid string, features []string, err error) {
	b := make([]byte, fatSector)
	if _, err := f.ReadAt(b, 0); err != nil {
		return "", nil, fmt.Errorf("%s: first sector: %w", f.Name(), err)
	}
	serial := 0
	switch {
	case strings.HasPrefix(string(b[fat16Type:]), "FAT12"),
		strings.HasPrefix(string(b[fat16Type:]), "FAT16"):
		serial = fat16Serial
	case strings.HasPrefix(string(b[fat32Type:]), "FAT32"):
		serial = fat32Serial
	default:
		return "", nil, fmt.Errorf("%s: no FAT", f.Name())
	}
	n := binary.LittleEndian.Uint32(b[serial:])
	return fmt.Sprintf("%04X-%04X", n>>16, n&0xffff), nil, nil
}
