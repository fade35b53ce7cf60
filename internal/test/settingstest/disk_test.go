package settingstest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deltaup/internal/test/disktest"
)

// diskSize is the size of the data partition, in bytes.
const diskSize = 24 << 20

// recorder is a disk in a file that records all requests: QEMU's storage daemon writes them down,
// and shows the disk as a file of FUSE, on which a loop device can lie.
type recorder struct {
	disk, log, export string
	daemon            *exec.Cmd
}

func newRecorder(t testing.TB, dir string) *recorder {
	t.Helper()
	r := &recorder{filepath.Join(dir, "disk"), filepath.Join(dir, "log"), filepath.Join(dir, "export"), nil}
	for _, name := range []string{r.disk, r.log, r.export} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(r.disk, diskSize); err != nil {
		t.Fatal(err)
	}
	tool(t, "mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0", r.disk)
	return r
}

// start begins to record.
func (r *recorder) start(t testing.TB) {
	t.Helper()
	r.daemon = exec.Command("qemu-storage-daemon",
		"--blockdev", "driver=blklogwrites,node-name=disk,file.driver=file,file.filename="+r.disk+",log.driver=file,log.filename="+r.log,
		"--export", "type=fuse,id=export,node-name=disk,writable=on,mountpoint="+r.export)
	var stderr strings.Builder
	r.daemon.Stderr = &stderr
	if err := r.daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.stop(t) })
	for range 500 {
		if info, err := os.Stat(r.export); err == nil && info.Size() == diskSize {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the daemon does not show the disk: %s", stderr.String())
}

// stop ends the recording.
func (r *recorder) stop(t testing.TB) {
	t.Helper()
	if r.daemon == nil {
		return
	}
	err := errors.Join(r.daemon.Process.Signal(os.Interrupt), r.daemon.Wait())
	r.daemon = nil
	if err != nil {
		t.Error(err)
	}
}

// at is how long the log is now.
func (r *recorder) at(t testing.TB) int64 {
	t.Helper()
	info, err := os.Stat(r.log)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// writes gives what was recorded.
func (r *recorder) writes(t testing.TB) []disktest.Write {
	t.Helper()
	b, err := os.ReadFile(r.log)
	if err != nil {
		t.Fatal(err)
	}
	writes, err := disktest.ParseLog(b)
	if err != nil {
		t.Fatal(err)
	}
	return writes
}

// tool runs a program that must succeed.
func tool(t testing.TB, name string, args ...string) {
	t.Helper()
	if err := try(name, args...); err != nil {
		t.Fatal(err)
	}
}

func try(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "LC_ALL=C")
	if path, err := exec.LookPath(filepath.Join("/usr/sbin", name)); err == nil {
		cmd.Path, cmd.Err = path, nil
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.New(name + " " + strings.Join(args, " ") + ": " + err.Error() + ": " + string(out))
	}
	return nil
}
