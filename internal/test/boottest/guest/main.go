// Command guest is the init of the machines that package boottest boots. It says how it was booted,
// does its slot's deed (do= on the kernel's command line), and restarts or switches off.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grub"
)

const (
	bootDir = "/boot"
	env     = bootDir + "/deltaup/grubenv"
)

var slots = counted.Slots{"a", "b", "c"}

func main() {
	err := run()
	fmt.Printf("guest: failed: %v\n", err) // run returns only when it cannot go on
	off(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// run mounts what the deed needs and does it.
func run() error {
	for _, m := range [][3]string{{"devtmpfs", "/dev", "devtmpfs"}, {"proc", "/proc", "proc"}, {"sysfs", "/sys", "sysfs"}} {
		if err := mount(m[0], m[1], m[2]); err != nil {
			return err
		}
	}
	args, err := kernelArgs()
	if err != nil {
		return err
	}
	for _, name := range strings.FieldsFunc(args["modules"], func(r rune) bool { return r == ',' }) {
		if err := loadModule("/modules/" + name + ".ko"); err != nil {
			return err
		}
	}
	if args["do"] == "report" {
		return report(args["image"])
	}
	if err := waitFor(args["boot"]); err != nil {
		return err
	}
	if err := mount(args["boot"], bootDir, args["bootfs"]); err != nil {
		return err
	}
	switch args["do"] {
	case "install":
		return install(args["image"])
	case "rename":
		return rename()
	}
	s, err := grub.ReadState(env, slots)
	if err != nil {
		return err
	}
	slot, trial := args["deltaup.slot"], args["deltaup.trial"] != ""
	fmt.Printf(
		"guest: slot=%s trial=%v fellback=%s; active=%s trial=%s tries=%d ended=%s bad=%s\n",
		slot,
		trial,
		args["deltaup.fellback"],
		s.Active,
		s.Trial,
		s.Tries,
		s.Ended,
		strings.Join(s.Bad, ","),
	)
	return do(args["do"], slot, trial)
}

// do does a deed. A deed for trials happens on trial only: otherwise do switches the machine off.
func do(deed, slot string, trial bool) error {
	change := func(change func(counted.State) (counted.State, error)) error {
		_, err := grub.ChangeState(context.Background(), env, slots, change)
		if err != nil {
			return err
		}
		return off(unix.LINUX_REBOOT_CMD_RESTART)
	}
	if to, ok := strings.CutPrefix(deed, "activate:"); ok {
		return change(func(s counted.State) (counted.State, error) { return s.Activate(to, 3) })
	}
	if !trial {
		return off(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	switch deed {
	case "good":
		return change(func(s counted.State) (counted.State, error) { return s.MarkGood(slot) })
	case "bad":
		return change(func(s counted.State) (counted.State, error) { return s.MarkBad(slot) })
	case "panic":
		return os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
	case "hang":
		return hang()
	}
	return fmt.Errorf("no such deed: %q", deed)
}

// install runs deltaup on a machine that runs from image.
func install(image string) error {
	if err := os.MkdirAll("/run/deltaup/image", 0o755); err != nil {
		return err
	}
	if err := unix.Mount(image, "/run/deltaup/image", "squashfs", unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("mount %s: %w", image, err)
	}
	cmd := exec.Command("/deltaup", "install", "/mirror", "--config", "/deltaup.toml", "--insecure")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	if err := cmd.Run(); err != nil {
		return err
	}
	fmt.Println("guest: done")
	return off(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// report runs the program /usr/bin/report of an image on a device, with the image as root.
func report(image string) error {
	const root = "/sysroot"
	if err := waitFor(image); err != nil {
		return err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(image, root, "squashfs", unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("mount %s: %w", image, err)
	}
	for dir, kind := range map[string]string{"dev": "devtmpfs", "proc": "proc", "sys": "sysfs", "run": "tmpfs", "tmp": "tmpfs"} {
		if err := mount(kind, filepath.Join(root, dir), kind); err != nil {
			return err
		}
	}
	// udev does nothing where its root is not that of process 1
	if err := errors.Join(os.Chdir(root), unix.Mount(".", "/", "", unix.MS_MOVE, ""), unix.Chroot(".")); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	cmd := exec.Command("/usr/bin/report")
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin"}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	if err := cmd.Run(); err != nil {
		return err
	}
	return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// rename puts slot b on trial in a wrong way: it renames a new environment block over the old one,
// with every step synced, as careful programs replace files.
func rename() error {
	const temp = "/run/grubenv"
	if err := copyFile(temp, env); err != nil {
		return err
	}
	_, err := grub.ChangeState(context.Background(), temp, slots[:2],
		func(s counted.State) (counted.State, error) { return s.Activate("b", 3) })
	if err != nil {
		return err
	}
	block, err := os.ReadFile(temp)
	if err != nil {
		return err
	}
	err = durable.WriteFile(filepath.Dir(env), env, func(w io.Writer) error {
		_, err := w.Write(block)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Println("guest: done")
	return off(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

// hang starts the watchdog and never feeds it.
func hang() error {
	if err := loadModule("/modules/watchdog.ko"); err != nil {
		return err
	}
	if err := loadModule("/modules/softdog.ko", "soft_margin=2"); err != nil {
		return err
	}
	if err := waitFor("/dev/watchdog"); err != nil {
		return err
	}
	if _, err := os.OpenFile("/dev/watchdog", os.O_WRONLY, 0); err != nil {
		return err
	}
	fmt.Println("guest: hangs")
	select {}
}

// off unmounts BOOT and switches off or restarts, as how says.
func off(how int) error {
	if err := unix.Unmount(bootDir, 0); err != nil {
		fmt.Printf("guest: unmount: %v\n", err)
	}
	return unix.Reboot(how)
}

func mount(device, dir, kind string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(device, dir, kind, 0, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", device, dir, err)
	}
	return nil
}

// kernelArgs gives the words NAME=VALUE of the kernel's command line. A word without "=" has itself
// as value.
func kernelArgs() (map[string]string, error) {
	b, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}
	args := map[string]string{}
	for _, word := range strings.Fields(string(b)) {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			value = name
		}
		args[name] = value
	}
	return args, nil
}

func loadModule(path string, params ...string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written
	if err := unix.FinitModule(int(f.Fd()), strings.Join(params, " "), 0); err != nil {
		return fmt.Errorf("load %s: %w", filepath.Base(path), err)
	}
	return nil
}

// waitFor waits until a driver has found a device.
func waitFor(path string) error {
	for range 600 {
		_, err := os.Stat(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("%s does not come", path)
}
