package trace

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mountedImage gives the number of the block device from which an image is mounted, as the kernel
// has it (major<<20 | minor), and a path to read the image from. image is a block device, or a file
// that is mounted through a loop device. "" means the only squashfs that this process sees mounted.
func mountedImage(image string) (device uint64, path string, err error) {
	if image == "" {
		return onlyMount()
	}
	loops, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return 0, "", err
	}
	for _, file := range loops {
		if backing, err := os.ReadFile(file); err == nil &&
			sameFile(strings.TrimSuffix(string(backing), "\n"), image) {
			number, err := os.ReadFile(filepath.Join(filepath.Dir(file), "../dev"))
			if err != nil {
				return 0, "", err
			}
			device, err = parseDevice(strings.TrimSpace(string(number)))
			return device, image, err
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(image, &st); err != nil {
		return 0, "", &os.PathError{Op: "stat", Path: image, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return 0, "", fmt.Errorf("image %s is not mounted", image)
	}
	return kernelDevice(unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))), image, nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// onlyMount finds the squashfs image in this process's mounts, if it is the only one.
func onlyMount() (device uint64, path string, err error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return 0, "", err
	}
	mounts := squashfsMounts(string(text))
	if len(mounts) != 1 {
		return 0, "", fmt.Errorf("%d squashfs images are mounted: say which one is meant",
			len(mounts))
	}
	for number, source := range mounts {
		device, err = parseDevice(number)
		path = source
	}
	return device, path, err
}

// squashfsMounts gives the squashfs file systems in the text of a mountinfo file: mount point by
// device number, MAJOR:MINOR. Format: proc(5).
func squashfsMounts(mountinfo string) map[string]string {
	mounts := make(map[string]string)
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(line, " - ")
		fields, what := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 6 || len(what) < 2 || what[0] != "squashfs" {
			continue
		}
		source := what[1]
		if !filepath.IsAbs(source) {
			source = "/dev/" + source
		}
		mounts[fields[2]] = source
	}
	return mounts
}

// parseDevice reads MAJOR:MINOR.
func parseDevice(number string) (uint64, error) {
	a, b, _ := strings.Cut(number, ":")
	major, err := strconv.ParseUint(a, 10, 12)
	minor, err2 := strconv.ParseUint(b, 10, 20)
	if err != nil || err2 != nil {
		return 0, fmt.Errorf("%q is no device number", number)
	}
	return kernelDevice(uint32(major), uint32(minor)), nil
}

// kernelDevice is the kernel's internal dev_t, which differs from that of system calls.
func kernelDevice(major, minor uint32) uint64 { return uint64(major)<<20 | uint64(minor) }
