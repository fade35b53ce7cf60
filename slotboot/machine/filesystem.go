package machine

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// FileSystem is the file system that a path lies on.
type FileSystem struct {
	Type   string // ext4, vfat, ...
	Mount  string // where it is mounted
	Device string // "MAJOR:MINOR"
	UUID   string // "" when /dev/disk/by-uuid does not tell
	Inner  string // the path within the file system, with a slash in front

	// NotForGRUB says why GRUB cannot write an environment block there, "" when it can; see
	// https://www.gnu.org/software/grub/manual/grub/html_node/Environment-block.html.
	NotForGRUB string
}

// FileSystem tells about the file system of path, which need not exist as long as its parent does.
func (m Machine) FileSystem(path string) (*FileSystem, error) {
	path, err := m.resolve(path)
	if err != nil {
		return nil, err
	}
	list, err := m.mounts(func(i *mountinfo.Info) (skip, stop bool) { return !within(path, i.Mountpoint), false })
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: not below any mount", path)
	}
	best := list[0]
	for _, i := range list[1:] {
		if len(i.Mountpoint) >= len(best.Mountpoint) { // of two on one place the later one hides the other
			best = i
		}
	}
	f := &FileSystem{
		Type:   best.FSType,
		Mount:  best.Mountpoint,
		Device: fmt.Sprintf("%d:%d", best.Major, best.Minor),
		Inner:  filepath.Join(best.Root, strings.TrimPrefix(path, strings.TrimSuffix(best.Mountpoint, "/"))),
	}
	f.UUID = m.uuid(best)
	f.NotForGRUB, err = m.notForGRUB(f)
	return f, err
}

// resolve follows the symbolic links in a path of the machine.
func (m Machine) resolve(path string) (string, error) {
	full := m.Path(path)
	real, err := filepath.EvalSymlinks(full)
	if errors.Is(err, fs.ErrNotExist) {
		if real, err = filepath.EvalSymlinks(filepath.Dir(full)); err == nil {
			real = filepath.Join(real, filepath.Base(full))
		}
	}
	if err != nil {
		return "", err
	}
	root, err := filepath.EvalSymlinks(m.Path("/"))
	if err != nil {
		return "", err
	}
	return filepath.Join("/", strings.TrimPrefix(real, root)), nil
}

func within(path, mount string) bool {
	return mount == "/" || path == mount || strings.HasPrefix(path, mount+"/")
}

// uuid looks for the device among the links of udev.
func (m Machine) uuid(i *mountinfo.Info) string {
	links, err := os.ReadDir(m.Path("/dev/disk/by-uuid"))
	if err != nil {
		return ""
	}
	for _, l := range links {
		var st unix.Stat_t
		err := unix.Stat(m.Path("/dev/disk/by-uuid/"+l.Name()), &st)
		if err == nil && st.Rdev == unix.Mkdev(uint32(i.Major), uint32(i.Minor)) {
			return l.Name()
		}
	}
	return ""
}

// notForGRUB applies what GRUB 2.06 does: it writes to plain block lists only, and does not know some features of ext4.
func (m Machine) notForGRUB(f *FileSystem) (string, error) {
	if layer := m.layer(f.Device); layer != "" {
		return "it lies on " + layer + ", which GRUB does not write to", nil
	}
	switch f.Type {
	case "vfat", "msdos":
		return "", nil
	case "ext2", "ext3", "ext4":
		unknown, err := m.extFeatures(f.Device)
		if err != nil || len(unknown) == 0 {
			return "", err
		}
		return "GRUB does not know its feature " + strings.Join(unknown, ", "), nil
	}
	return "GRUB does not write to " + f.Type, nil
}

// layer names what lies between a device and its disk, "" for a plain partition or disk.
func (m Machine) layer(device string) string {
	dir := "/sys/dev/block/" + device
	for _, d := range []string{dir, dir + "/.."} { // a partition's disk is the folder above
		if uuid, err := m.read(d + "/dm/uuid"); err == nil {
			kind, _, _ := strings.Cut(strings.TrimSpace(string(uuid)), "-")
			switch kind {
			case "LVM":
				return "LVM"
			case "CRYPT":
				return "an encrypted device"
			}
			return "a device mapper device (" + cmp.Or(kind, "unknown") + ")"
		}
		if _, err := os.Stat(m.Path(d + "/md")); err == nil {
			return "RAID"
		}
	}
	return ""
}

// Fields of an ext4 superblock, see Documentation/filesystems/ext4/super.rst of Linux.
const (
	extSuperblock  = 1024
	extMagicAt     = 0x38
	extMagic       = 0xef53
	extIncompatAt  = 0x60
	extROCompatAt  = 0x64
	extFeaturesEnd = 0x68
)

var (
	extIncompat = map[uint32]string{0x400: "ea_inode", 0x8000: "inline_data", 0x20000: "casefold"}
	extROCompat = map[uint32]string{0x200: "bigalloc"}
)

// extFeatures are the features of the ext4 on a device that GRUB refuses or cannot write with.
func (m Machine) extFeatures(device string) ([]string, error) {
	f, err := m.openDevice(device)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	sb := make([]byte, extFeaturesEnd)
	if _, err := f.ReadAt(sb, extSuperblock); err != nil {
		return nil, fmt.Errorf("%s: superblock: %w", f.Name(), err)
	}
	if binary.LittleEndian.Uint16(sb[extMagicAt:]) != extMagic {
		return nil, fmt.Errorf("%s: no ext4 superblock", f.Name())
	}
	var found []string
	for _, part := range []struct {
		at    int
		names map[uint32]string
	}{{extIncompatAt, extIncompat}, {extROCompatAt, extROCompat}} {
		bits := binary.LittleEndian.Uint32(sb[part.at:])
		for bit := uint32(1); bit != 0; bit <<= 1 {
			if name := part.names[bit]; name != "" && bits&bit != 0 {
				found = append(found, name)
			}
		}
	}
	return found, nil
}

// openDevice opens a block device by its number.
func (m Machine) openDevice(device string) (*os.File, error) {
	b, err := m.read("/sys/dev/block/" + device + "/uevent")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "DEVNAME="); ok {
			return os.Open(m.Path("/dev/" + name))
		}
	}
	return nil, fmt.Errorf("device %s: the kernel does not tell its name", device)
}
