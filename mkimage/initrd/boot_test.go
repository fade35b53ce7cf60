package initrd

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBoot lets a real kernel unpack an initrd with every kind of part, once as its maker wrote it
// and once rebuilt, and demands the same files. It needs QEMU and a kernel for amd64: that of
// DELTAUP_TEST_KERNEL, or the one in /boot.
func TestBoot(t *testing.T) {
	kernel := findKernel(t)
	p := newPieces(t)
	dir := t.TempDir()
	compile := exec.Command("go", "build", "-o", filepath.Join(dir, "bootinit"), "testdata/bootinit/main.go")
	compile.Env = append(os.Environ(), "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
	// Longer than the window, with a repetition at a distance beyond the window.
	if err := os.WriteFile(filepath.Join(dir, "large"), goldenPlain(), 0o600); err != nil {
		t.Fatal(err)
	}
	main := pack(t, "gzip", join(p.main, make([]byte, 512), gnuArchive(t, dir, "large", "bootinit")))
	second := pack(t, "xz", p.second)
	padding := make([]byte, align(int64(len(main)+len(second))))
	old := join(p.early, make([]byte, 1000), main, second, padding, p.late)

	want := boot(t, kernel, old)
	for _, path := range []string{`"/large"`, `"/lib/b.ko"`, `"/lib/holes"`, `"/link" Lrwxrwxrwx "/a target/with spaces"`, `"/pipe" p`} {
		if !strings.Contains(want, "deltaup: "+path) {
			t.Fatalf("no %s in the archives as they were:\n%s", path, want)
		}
	}
	for _, level := range []string{"fastest", "best"} {
		r, src := takeApart(t, old, level)
		if got := boot(t, kernel, build(t, r, src)); got != want {
			t.Errorf("level %s: the kernel unpacks\n%s\nwant\n%s", level, got, want)
		}
	}
}

func findKernel(t *testing.T) string {
	if testing.Short() {
		t.Skip("boots take seconds")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can archive the device /dev/console")
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("qemu-system-x86_64 is not installed")
	}
	if path := os.Getenv("DELTAUP_TEST_KERNEL"); path != "" {
		return path
	}
	found, err := filepath.Glob("/boot/vmlinuz-*-amd64")
	if err != nil || len(found) == 0 {
		t.Skip("no kernel: set DELTAUP_TEST_KERNEL")
	}
	return found[len(found)-1]
}

// boot boots a kernel with an initrd and gives the lines that bootinit writes.
func boot(t *testing.T, kernel string, initrd []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(path, initrd, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg", "-cpu", "qemu64", "-m", "512",
		"-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio",
		"-kernel", kernel, "-initrd", path, "-append", "console=ttyS0 quiet panic=-1 rdinit=/bootinit")
	out, err := qemu.CombinedOutput()
	if err != nil {
		t.Fatalf("qemu: %v\n%s", err, out)
	}
	var lines []string
	for line := range bytes.Lines(out) {
		if line = bytes.TrimSpace(line); bytes.HasPrefix(line, []byte("deltaup:")) {
			lines = append(lines, string(line))
		}
	}
	if len(lines) == 0 || lines[len(lines)-1] != "deltaup: end <nil>" {
		t.Fatalf("the init program did not come to its end:\n%s", out)
	}
	return strings.Join(lines, "\n")
}
