package boottest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// qemu is one run of a virtual machine.
type qemu struct {
	disk     *disk
	readOnly bool // the disk cannot be written
	uefi     bool
	reboots  bool // a reset starts the machine again instead of ending QEMU
	// text on the console that ends the run; empty: wait for the machine to end
	until   string
	timeout time.Duration // at least three times the usual time
	record  string        // file for the log of all writes (QEMU's blklogwrites); empty: no log
	direct  *direct       // nil: the firmware starts GRUB
	memory  int           // MiB; 0: 256
	network bool          // the host is 10.0.2.2
}

// direct is a kernel that QEMU starts without firmware and GRUB.
type direct struct{ kernel, initrd, args string }

// boot runs the machine until it ends. It returns the text on the serial line, and the text that
// the stub kernel prints.
func (m qemu) boot(t testing.TB) (console, stub string) {
	t.Helper()
	dir := tempDir(t)
	stubFile := filepath.Join(dir, "stub")
	ctx, cancel := context.WithTimeout(t.Context(), m.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", m.args(t, dir, stubFile)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	text, ended := m.watch(out)
	if ended {
		cancel()
	}
	err = cmd.Wait()
	exit, isExit := err.(*exec.ExitError)
	stubExit := isExit && exit.ExitCode() == stubStatus
	if err != nil && !ended && !stubExit {
		t.Fatalf("qemu: %v (%v)\n%s\n%s", err, ctx.Err(), stderr.String(), text)
	}
	said, err := os.ReadFile(stubFile)
	if err != nil {
		t.Fatal(err)
	}
	return text, string(said)
}

// watch reads the console until it ends or has the text m.until.
func (m qemu) watch(console io.Reader) (text string, ended bool) {
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := console.Read(buf)
		b.Write(buf[:n])
		if m.until != "" && strings.Contains(b.String(), m.until) {
			return b.String(), true
		}
		if err != nil { // the end, or an error that Wait explains better
			return b.String(), false
		}
	}
}

// args are the arguments of QEMU, for a machine whose files lie in dir.
func (m qemu) args(t testing.TB, dir, stubFile string) []string {
	t.Helper()
	drive := "if=none,id=disk,format=raw,cache=unsafe,file=" + m.disk.path
	device := "nvme,drive=disk,serial=boottest,bootindex=1"
	if m.record != "" {
		// QEMU's NVMe disk ignores the flag for a durable write (FUA)
		device = "virtio-blk-pci,drive=disk"
		drive = "if=none,id=disk,driver=blklogwrites,file.driver=raw,file.file.driver=file,file.file.filename=" + m.disk.path +
			",log.driver=raw,log.file.driver=file,log.file.filename=" + m.record
	}
	if m.readOnly {
		drive += ",readonly=on"
	}
	args := []string{
		"-accel", "tcg", "-cpu", "qemu64", "-m", strconv.Itoa(cmp.Or(m.memory, 256)), "-nodefaults", "-no-user-config", "-display", "none",
		"-serial", "stdio",
		"-drive", drive, "-device", device,
		"-chardev", "file,id=stub,path=" + stubFile,
		"-device", fmt.Sprintf("isa-debugcon,iobase=%#x,chardev=stub", portConsole),
		"-device", fmt.Sprintf("isa-debug-exit,iobase=%#x,iosize=1", portExit),
	}
	if m.network {
		args = append(args, "-nic", "user,model=virtio-net-pci")
	}
	if !m.reboots {
		args = append(args, "-no-reboot")
	}
	if m.direct != nil {
		args = append(args, "-kernel", m.direct.kernel, "-initrd", m.direct.initrd, "-append", m.direct.args)
	}
	if m.uefi {
		vars := filepath.Join(dir, "vars")
		writeFile(t, vars, readFile(t, "/usr/share/OVMF/OVMF_VARS_4M.fd"))
		args = append(args, "-machine", "q35",
			"-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
			"-drive", "if=pflash,format=raw,file="+vars)
	}
	return args
}
