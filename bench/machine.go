package bench

import (
	"bufio"
	"debug/buildinfo"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine describes the machine that measured the figures.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory_bytes"`
	System string `json:"system"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Disk   string `json:"disk"` // file system of the scratch folder
	Commit string `json:"commit"`
}

func thisMachine(scratch string) Machine {
	m := Machine{
		CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Go: runtime.Version(),
		System: strings.Trim(field("/etc/os-release", "PRETTY_NAME"),
			`"`), Disk: fileSystem(scratch),
	}
	kib, _ := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 10,
		64)
	m.Memory = kib << 10
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	if out, err := exec.Command("git", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
		m.Commit = strings.TrimSpace(string(out))
	}
	return m
}

// field gives the value in the first line "name: value" or "name=value" of a file.
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close() // nothing was written
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if !ok {
			key, value, ok = strings.Cut(lines.Text(), "=")
		}
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// freeSpace is how many bytes are free in a folder's file system; 0: not known.
func freeSpace(dir string) int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0
	}
	return int64(st.Bavail) * int64(st.Bsize)
}

// fileSystem names the type of a folder's file system.
func fileSystem(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return ""
	}
	kind := int64(uint32(st.Type)) // the field's type differs between architectures
	switch kind {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	}
	return "type 0x" + strconv.FormatInt(kind, 16)
}

var versionNumber = regexp.MustCompile(`\d+(\.\d+)+[\w.+~-]*`)

// toolVersion gives the version that a tool, or its package, tells.
func toolVersion(tool string) string {
	for _, args := range [][]string{{tool, "--version"}, {tool, "-V"}, {tool, "-v"}} {
		out, _ := exec.Command(args[0], args[1:]...).CombinedOutput()
		if v := versionNumber.FindString(string(out)); v != "" {
			return v
		}
	}
	if out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", tool).Output(); err == nil {
		return string(out)
	}
	return moduleVersion(tool)
}

// moduleVersion is the version of the Go module that a tool was built from, or "".
func moduleVersion(tool string) string {
	path, err := exec.LookPath(tool)
	if err != nil {
		return ""
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return ""
	}
	for _, m := range append(info.Deps, &info.Main) { // another module's build may include it
		if m.Path == info.Path || strings.HasPrefix(info.Path, m.Path+"/") {
			return m.Version
		}
	}
	return ""
}
