// Command guest is the first process of a machine in which bench/boot.sh measures a boot. As /init
// of the initramfs it mounts the image like deltaup's initramfs and starts systemd. As the unit
// that systemd starts last (argument "report") it reports what the disk had to do and switches the
// machine off.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	disk     = "nvme0n1" // its driver is built into Debian's kernel
	events   = "/sys/kernel/tracing/instances/bench"
	newRoot  = "/sysroot"
	unit     = "bench-report.service"
	self     = "/run/bench/guest"
	deltaup  = "/run/bench/deltaup"
	reportTo = "/dev/ttyS1"

	traceFile = "/run/deltaup/boot.trace" // where the unit writes its trace
)

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == "report" {
		err = report()
	} else {
		err = start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
	}
	unix.Sync()
	err = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	fmt.Fprintln(os.Stderr, "guest: power off:", err)
}

// start is the initramfs. It returns only when something goes wrong.
func start() error {
	for _, m := range []struct{ source, target, kind, data string }{
		{"dev", "/dev", "devtmpfs", ""}, {"proc", "/proc", "proc", ""}, {"sys", "/sys", "sysfs", ""},
		{"run", "/run", "tmpfs", "mode=0755"}, {"over", "/over", "tmpfs", "mode=0755"}, {"tracefs", "/sys/kernel/tracing", "tracefs", ""},
	} {
		if err := mount(m.source, m.target, m.kind, 0, m.data); err != nil {
			return err
		}
	}
	mode, err := kernelArgument("bench.mode")
	if err != nil {
		return err
	}
	if err := loadModules("/modules"); err != nil {
		return err
	}
	if err := watchDisk(); err != nil {
		return err
	}
	if err := os.MkdirAll("/run/bench", 0o755); err != nil {
		return err
	}
	for _, file := range []string{"guest", "deltaup"} {
		if err := copyFile("/bin/"+file, "/run/bench/"+file); err != nil {
			return err
		}
	}
	if err := mountImage(mode); err != nil {
		return err
	}
	// Record from before the switch of roots until the unit takes over.
	record := []string{"trace", "record", "--until", "taken", "--root", newRoot}
	switch mode {
	case "pages":
		record = append(record, "--pages", "--image", "/dev/"+disk)
		fallthrough
	case "record":
		if err := background(record...); err != nil {
			return err
		}
	}
	return switchRoot()
}

// background starts deltaup and waits for its line that says that it needs nothing more of this
// root.
func background(args ...string) error {
	cmd := exec.Command(deltaup, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if _, err := out.Read(make([]byte, 64)); err != nil {
		return fmt.Errorf("deltaup %v: %w", args, err)
	}
	return nil
}

// mountImage mounts the disk's image and, over it, an overlay in memory.
func mountImage(mode string) error {
	device := "/dev/" + disk
	if mode == "prefetch" {
		if err := background("trace", "prefetch", device); err != nil {
			return err
		}
	}
	if mode == "loop" || mode == "prefetch" {
		// squashfs bypasses the page cache of its device. With a loop device between them, reading
		// ahead into that cache helps.
		var err error
		if device, err = loopDevice(device); err != nil {
			return err
		}
	}
	if err := mount(device, "/lower", "squashfs", unix.MS_RDONLY, ""); err != nil {
		return err
	}
	for _, dir := range []string{"/over/upper/etc/systemd/system/graphical.target.wants", "/over/work"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := mount("overlay", newRoot, "overlay", 0, "lowerdir=/lower,upperdir=/over/upper,workdir=/over/work"); err != nil {
		return err
	}
	units := filepath.Join(newRoot, "etc/systemd/system")
	if mode == "record" {
		if err := installRecorder(units); err != nil {
			return err
		}
	}
	if err := os.Symlink("../"+unit, filepath.Join(units, "graphical.target.wants", unit)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(units, unit), []byte(`[Unit]
Requires=boot-complete.target
After=boot-complete.target multi-user.target
[Service]
Type=exec
ExecStart=`+self+` report
StandardError=tty
TTYPath=/dev/console
`), 0o644)
}

// installRecorder installs the unit and the program that take over the recording into the new root.
func installRecorder(units string) error {
	const service = "deltaup-trace.service"
	wants := filepath.Join(units, "sysinit.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		return err
	}
	if err := copyFile("/bin/"+service, filepath.Join(units, service)); err != nil {
		return err
	}
	if err := os.Symlink("../"+service, filepath.Join(wants, service)); err != nil {
		return err
	}
	return os.Symlink(deltaup, filepath.Join(newRoot, "usr/bin/deltaup"))
}

// switchRoot moves the mounts into the new root and becomes systemd.
func switchRoot() error {
	for _, dir := range []string{"/dev", "/proc", "/sys", "/run"} {
		if err := unix.Mount(dir, newRoot+dir, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", dir, err)
		}
	}
	if err := os.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return unix.Exec("/sbin/init", []string{"/sbin/init"},
		[]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"})
}
