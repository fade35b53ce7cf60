package trace

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is a squashfs that is mounted from a block device.
type mount struct {
	device       uint64 // as the kernel numbers it: major<<20 | minor
	major, minor uint32
	source       string // the device's path
}

// mountedImage finds the mounted image that is meant: image is its block device, or the file
// behind its loop device; "" is the only one. It gives the device number, and a path to read
// the image from.
func mountedImage(image string) (device uint64, path string, err error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return 0, "", err
	}
	mounts, err := squashfsMounts(string(text))
	if err != nil {
		return 0, "", err
	}
	if image == "" {
		if len(mounts) != 1 {
			return 0, "", fmt.Errorf("%d squashfs images are mounted: say which one is meant", len(mounts))
		}
		return mounts[0].device, mounts[0].source, nil
	}
	var st unix.Stat_t
	if err := unix.Stat(image, &st); err != nil {
		return 0, "", &os.PathError{Op: "stat", Path: image, Err: err}
	}
	for _, m := range mounts {
		if st.Mode&unix.S_IFMT == unix.S_IFBLK && unix.Mkdev(m.major, m.minor) == uint64(st.Rdev) || m.backedBy(image) {
			return m.device, image, nil
		}
	}
	return 0, "", fmt.Errorf("image %s is not mounted", image)
}

// backedBy tells whether m is a loop device over the file.
func (m mount) backedBy(file string) bool {
	backing, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/loop/backing_file", m.major, m.minor))
	if err != nil {
		return false
	}
	a, err := os.Stat(strings.TrimSuffix(string(backing), "\n"))
	if err != nil {
		return false
	}
	b, err := os.Stat(file)
	return err == nil && os.SameFile(a, b)
}

// squashfsMounts lists the squashfs file systems of a mountinfo, each device once. Format: proc(5).
func squashfsMounts(mountinfo string) ([]mount, error) {
	var mounts []mount
	seen := make(map[uint64]bool)
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(line, " - ")
		fields, what := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 6 || len(what) < 2 || what[0] != "squashfs" {
			continue
		}
		m := mount{source: what[1]}
		major, minor, _ := strings.Cut(fields[2], ":")
		for _, part := range []struct {
			text   string
			number *uint32
		}{{major, &m.major}, {minor, &m.minor}} {
			n, err := strconv.ParseUint(part.text, 10, 20)
			if err != nil {
				return nil, fmt.Errorf("mountinfo: %q is no device", fields[2])
			}
			*part.number = uint32(n)
		}
		m.device = uint64(m.major)<<20 | uint64(m.minor)
		if !filepath.IsAbs(m.source) {
			m.source = "/dev/" + m.source
		}
		if !seen[m.device] {
			seen[m.device] = true
			mounts = append(mounts, m)
		}
	}
	return mounts, nil
}
