package dist

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// lab is two block devices: one is a slot, the other a data partition with a slot in a file.
type lab struct {
	t          *testing.T
	dir        string
	slot, data string   // loop devices
	shell      []string // with its arguments; nil: dash where it is
}

func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if out, err := exec.Command(tool(t, "unshare"), "-m", "mount", "-t", "tmpfs", "tmpfs", t.TempDir()).CombinedOutput(); err != nil {
		t.Skipf("mounting is not permitted here: %s", out)
	}
	l := &lab{t: t, dir: t.TempDir()}
	tree := filepath.Join(l.dir, "tree")
	for _, dir := range []string{"etc", "data"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	l.write("tree/etc/version", "7\n")
	image := filepath.Join(l.dir, "image")
	run(t, "mksquashfs", tree, image, "-quiet", "-no-progress")
	content, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	// A partition is larger than its image, and what lies behind it is of no interest.
	l.slot = l.loop("slot", append(content, make([]byte, 1<<20)...))

	copyFile(t, image, filepath.Join(l.dir, "files/slots/b.squashfs"), 0o644)
	l.write("files/slots/cut.squashfs", strings.Repeat("\x00", 8192))
	disk := filepath.Join(l.dir, "disk")
	run(t, "mke2fs", "-q", "-t", "ext4", "-d", filepath.Join(l.dir, "files"), disk, "8M")
	content, err = os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	l.data = l.loop("data", content)
	return l
}

func (l *lab) write(name, text string) {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) loop(name string, content []byte) (device string) {
	l.t.Helper()
	l.write(name, string(content))
	return l.loopOf(filepath.Join(l.dir, name))
}

// loopOf is a loop device of a file.
func (l *lab) loopOf(file string, options ...string) (device string) {
	l.t.Helper()
	args := append(options, "--find", "--show", file)
	out, err := exec.Command(tool(l.t, "losetup"), args...).Output()
	if err != nil {
		l.t.Skipf("no loop devices here: %v", err)
	}
	device = strings.TrimSpace(string(out))
	l.t.Cleanup(func() { exec.Command("losetup", "--detach", device).Run() })
	return device
}

// boot runs the script in a mount namespace as the shell of an initramfs does, and then what
// follows with the root in $root.
func (l *lab) boot(cmdline, then string) (out string, err error) {
	l.t.Helper()
	l.write("cmdline", cmdline)
	here, absErr := filepath.Abs("initramfs/deltaup.sh")
	if absErr != nil {
		l.t.Fatal(absErr)
	}
	const script = `
# A boot that does not get far leaves its loop devices, and with the namespace goes their file's path.
dir=$1 slot=$4
trap 'losetup --list --noheadings --output NAME,BACK-FILE | while read -r name file; do
	case $file in "$dir"/run/* | "$dir"/root/* | "$slot") losetup -d "$name" ;; esac
done' EXIT
mount -t tmpfs tmpfs "$1/run" || exit 99
. "$2"
deltaup_mount_root "$1/root" || exit 1
root=$1/root
loop=$(sed -n 's/.* \/[^ ]*\/run\/image .* - squashfs \([^ ]*\) .*/\1/p' /proc/self/mountinfo)
eval "$3"
status=$?
# What the namespace's end unmounts needs no loop device of ours any more.
umount -R "$1/root" && umount "$1/run/image"
exit $status`
	for _, dir := range []string{"run", "root"} {
		if err := os.MkdirAll(filepath.Join(l.dir, dir), 0o755); err != nil {
			l.t.Fatal(err)
		}
	}
	shell := []string{"sh"}
	if path, err := exec.LookPath("dash"); err == nil {
		shell[0] = path
	}
	if l.shell != nil {
		shell = l.shell
	}
	cmd := exec.Command(tool(l.t, "unshare"), slices.Concat([]string{"-m"}, shell, []string{"-c", script, "sh", l.dir, here, then, l.slot})...)
	cmd.Env = append(os.Environ(), "DELTAUP_CMDLINE="+filepath.Join(l.dir, "cmdline"), "DELTAUP_RUN="+filepath.Join(l.dir, "run"),
		"DELTAUP_REBOOT=echo restarted", "DELTAUP_WAIT=0", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	b, err := cmd.CombinedOutput()
	return string(b), err
}

func TestMountRoot(t *testing.T) {
	if testing.Short() {
		t.Skip("a shell's: no goroutine of ours")
	}
	l := newLab(t)
	file := " deltaup.image=" + l.data + ":/slots/b.squashfs"
	device := " deltaup.image=" + l.slot
	data := " deltaup.data=" + l.data
	const reads = `[ "$(cat "$root/etc/version")" = 7 ] && echo 8 >"$root/etc/version" && [ "$(cat "$root/etc/version")" = 8 ]`
	for _, x := range []struct{ name, cmdline, then string }{
		{"device", "quiet deltaup.slot=a" + device, reads + ` && [ "$(cat "$DELTAUP_RUN/image/etc/version")" = 7 ]`},
		{"what was written is gone", "deltaup.slot=a" + device, reads},
		{"prefetched", "deltaup.slot=a deltaup.prefetch" + device,
			`wait && ` + reads + ` && [ "$(cat /sys/block/${loop#/dev/}/loop/backing_file)" = "` + l.slot + `" ]`},
		{"file, prefetched", "deltaup.slot=b deltaup.prefetch" + file, `wait && ` + reads},
		{"file", "deltaup.slot=b" + file, reads + ` && [ "$(cat /sys/block/${loop#/dev/}/loop/backing_file)" = "$DELTAUP_RUN/disk/slots/b.squashfs" ]`},
		{"file beside data", "deltaup.slot=b" + file + data, reads + ` && [ -f "$root/data/slots/b.squashfs" ] && ! [ -d "$DELTAUP_RUN/disk" ]`},
		{"data elsewhere", "deltaup.slot=a" + device + data + " deltaup.datadir=/srv/data", reads + ` && [ -f "$root/srv/data/slots/b.squashfs" ] && umount "$root/srv/data"`},
		{"device in memory", "deltaup.slot=a deltaup.toram" + device,
			reads + ` && [ "$(cat /sys/block/${loop#/dev/}/loop/backing_file)" = "$DELTAUP_RUN/ram/a.squashfs" ] && [ $(stat -c %s "$DELTAUP_RUN/ram/a.squashfs") = 4096 ]`},
		{"file in memory", "deltaup.slot=b deltaup.toram" + file,
			reads + ` && [ "$(cat /sys/block/${loop#/dev/}/loop/backing_file)" = "$DELTAUP_RUN/ram/b.squashfs" ] && ! grep -q "$DELTAUP_RUN/disk" /proc/self/mountinfo`},
		{"persistent", "deltaup.slot=a deltaup.overlay=data" + device + data, reads},
		{"persistent, again", "deltaup.slot=a deltaup.overlay=data" + device + data, `[ "$(cat "$root/etc/version")" = 8 ]`},
		{"persistent, of the other slot", "deltaup.slot=b deltaup.overlay=data" + file + data, reads},
		{"without data", "deltaup.slot=a deltaup.nodata deltaup.overlay=data deltaup.data=LABEL=none-such" + device,
			reads + ` && echo x >"$root/data/x" && grep -q "LABEL=none-such did not appear: memory takes its place" "$DELTAUP_RUN/nodata"`},
		{"with data that cannot be mounted", "deltaup.slot=b deltaup.nodata" + file + " deltaup.data=" + l.loop("zeros", make([]byte, 1<<20)),
			reads + ` && grep -q "cannot be mounted: memory takes its place" "$DELTAUP_RUN/nodata"`},
		{"permitted, and there", "deltaup.slot=a deltaup.nodata" + device + data, reads + ` && [ -f "$root/data/slots/b.squashfs" ] && ! [ -e "$DELTAUP_RUN/nodata" ]`},
		{"the last argument counts", "deltaup.slot=z deltaup.slot=a deltaup.image=/nowhere" + device, reads},
	} {
		t.Run(x.name, func(t *testing.T) {
			out, err := l.boot(x.cmdline, x.then)
			if err != nil || strings.Contains(out, "restarted") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// TestRestart leaves something out: the message says what, and the machine restarts.
func TestRestart(t *testing.T) {
	l := newLab(t)
	device := " deltaup.image=" + l.slot
	for _, x := range []struct{ name, cmdline, want string }{
		{"no arguments", "quiet", "slot unknown cannot boot: the kernel argument deltaup.slot= is missing"},
		{"no image", "deltaup.slot=a", "slot a cannot boot: the kernel argument deltaup.image= is missing"},
		{"no device", "deltaup.slot=a deltaup.image=PARTLABEL=none-such", "the device PARTLABEL=none-such did not appear"},
		{"no file", "deltaup.slot=b deltaup.image=" + l.data + ":/slots/none", "there is no file /slots/none on " + l.data},
		{"half an image", "deltaup.slot=b deltaup.image=" + l.data + ":/slots/cut.squashfs", "is no squashfs image, or one that was not written to its end"},
		{"no file system", "deltaup.slot=b deltaup.image=" + l.slot + "x:/x", "did not appear"},
		{"no data", "deltaup.slot=a deltaup.nodata=never deltaup.data=LABEL=none-such" + device, "the data partition LABEL=none-such did not appear"},
		{"data for the overlay", "deltaup.slot=a deltaup.overlay=data" + device, "deltaup.overlay=data needs deltaup.data="},
		{"overlay", "deltaup.slot=a deltaup.overlay=disk" + device, "deltaup.overlay= is neither tmpfs nor data"},
	} {
		t.Run(x.name, func(t *testing.T) {
			out, err := l.boot(x.cmdline, "true")
			if err == nil || !strings.Contains(out, x.want) || !strings.HasSuffix(out, "restarting in 10 seconds\nrestarted\n") {
				t.Errorf("%v: got\n%swant %s", err, out, x.want)
			}
		})
	}
	l.detach("cut.squashfs")
}

// detach frees the loop devices of a boot that did not get far.
func (l *lab) detach(backing string) {
	l.t.Helper()
	out, err := exec.Command("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").Output()
	if err != nil {
		l.t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if name, file, _ := strings.Cut(strings.TrimSpace(line), " "); strings.Contains(file, backing) {
			exec.Command("losetup", "--detach", name).Run()
		}
	}
}

// TestPrefetch sees what is read of an image: its tables, and the data that the trailer names.
func TestPrefetch(t *testing.T) {
	const (
		mib    = 1 << 20
		tables = 9*mib + 5
		used   = 9*mib + 9000
	)
	image := make([]byte, 10*mib)
	for i := range image {
		image[i] = byte(i * i >> 3) // no text, and yet lines
	}
	binary.LittleEndian.PutUint64(image[40:], used)
	binary.LittleEndian.PutUint64(image[64:], tables)
	for _, x := range []struct {
		trailer string
		want    string
	}{
		{"deltaup codec=zstd-best.1 chunks=1,2,3 first=7 hot=5242880\n", "skip=18 count=1\ncount=11\n"},
		{"deltaup codec=zstd-best.1 chunks=1,2,3 first=0\n", "skip=18 count=1\n"},
		{"", "skip=18 count=1\n"},
		{"deltaup codec=zstd-best.1 chunks=1,2,3 first=7 hot=a[$(reboot)]\n", "skip=18 count=1\n"},
	} {
		copy(image[used:], make([]byte, 1000))
		copy(image[used:], x.trailer)
		file := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(file, image, 0o644); err != nil {
			t.Fatal(err)
		}
		const script = `
. initramfs/deltaup.sh
dd() {
	command dd "$@"
	case $* in *bs=508k*) shift 3; echo "$*" >>"$log" ;; esac
}
image=$1 log=$1.log
deltaup_prefetch "$image"`
		if out, err := exec.Command("sh", "-c", script, "sh", file).CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%q: %v: %s", x.trailer, err, out)
		}
		got, err := os.ReadFile(file + ".log")
		if err != nil || string(got) != x.want {
			t.Errorf("%q: read %q, error %v, want %q", x.trailer, got, err, x.want)
		}
	}
}
