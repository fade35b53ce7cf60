// Command guest is the first process of a machine in which bench/boot.sh measures a boot. As /init
// of the initramfs it mounts the image as deltaup's initramfs does, and starts systemd; as the unit
// that systemd starts last (argument "report") it writes what the disk had to do and ends the machine.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

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

// start is the initramfs; it returns only when something went wrong.
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
	if mode == "record" {
		// From before the switch of roots on, until the unit takes over.
		if err := background("trace", "record", "--until", "taken", "--root", newRoot, "--pages", "--image", "/dev/"+disk); err != nil {
			return err
		}
	}
	return switchRoot()
}

// background starts deltaup and waits for the line that says that it has what it needs of this root.
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

// mountImage mounts the disk's image and an overlay in memory above it.
func mountImage(mode string) error {
	device := "/dev/" + disk
	if mode == "loop" || mode == "prefetch" {
		// squashfs reads past the page cache of its device; with a loop device between, what is
		// read ahead of it is of use.
		var err error
		if device, err = loopDevice(device); err != nil {
			return err
		}
	}
	if err := mount(device, "/lower", "squashfs", unix.MS_RDONLY, ""); err != nil {
		return err
	}
	if mode == "prefetch" {
		if err := background("trace", "prefetch", "/dev/"+disk); err != nil {
			return err
		}
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
	if err := os.Symlink("../"+unit, filepath.Join(units, "graphical.target.wants", unit)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(units, unit), []byte(`[Unit]
Requires=boot-complete.target
After=boot-complete.target multi-user.target
[Service]
Type=oneshot
ExecStart=`+self+` report
StandardError=tty
TTYPath=/dev/console
`), 0o644)
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
	return unix.Exec("/sbin/init", []string{"/sbin/init"}, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"})
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s at %s: %w", source, target, err)
	}
	return nil
}

// loadModules loads the folder's modules in the order of their names.
func loadModules(dir string) error {
	files, err := filepath.Glob(dir + "/*.ko")
	if err != nil {
		return err
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil {
			return fmt.Errorf("load %s: %w", file, err)
		}
	}
	return nil
}

// watchDisk has the kernel note each request that it gives to the disk.
func watchDisk() error {
	if err := os.Mkdir(events, 0o700); err != nil {
		return err
	}
	for file, value := range map[string]string{
		"trace_clock": "boot", "buffer_size_kb": "4096", "events/block/block_rq_issue/enable": "1",
	} {
		if err := os.WriteFile(filepath.Join(events, file), []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

// report writes, for bench/boot.sh: seconds since the kernel started, the disk's counters, the requests.
func report() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return err
	}
	stat, err := os.ReadFile("/sys/block/" + disk + "/stat")
	if err != nil {
		return err
	}
	out, err := os.OpenFile(reportTo, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	fmt.Fprintf(out, "seconds %.3f\nstat %s", float64(now.Nano())/1e9, stat)
	if mode, err := kernelArgument("bench.mode"); err == nil && mode == "record" {
		if err := takeTrace(out); err != nil {
			return err
		}
	}
	requests, err := os.Open(filepath.Join(events, "trace"))
	if err != nil {
		return err
	}
	defer requests.Close()
	if _, err := io.Copy(out, requests); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "end")
	return err
}

// takeTrace ends the recording that began in the initramfs.
func takeTrace(out io.Writer) error {
	cmd := exec.Command(deltaup, "trace", "record", "-o", "-", "--until", "1s", "--pages", "--image", "/dev/"+disk)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	return cmd.Run()
}

func kernelArgument(name string) (string, error) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return "", err
	}
	for _, word := range strings.Fields(string(line)) {
		if value, ok := strings.CutPrefix(word, name+"="); ok {
			return value, nil
		}
	}
	return "", fmt.Errorf("no kernel argument %s", name)
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// loopDevice puts a loop device over another device.
func loopDevice(device string) (string, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer control.Close()
	n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return "", err
	}
	loop := "/dev/loop" + strconv.Itoa(n)
	l, err := os.Open(loop)
	if err != nil {
		return "", err
	}
	defer l.Close()
	f, err := os.Open(device)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return loop, unix.IoctlLoopConfigure(int(l.Fd()), &unix.LoopConfig{
		Fd: uint32(f.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_READ_ONLY},
	})
}
