package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sysrootCase is a machine that is set up from another one.
type sysrootCase struct {
	// commands of a shell in a mount namespace of its own, where $t is the target's root; disk DIR
	// [UUID] mounts a new ext4
	mounts string
	flags  string   // of boot setup
	code   int      // that boot setup ends with
	want   []string // what the script says or, with a code, the message
}

// sysroots is what can be mounted below a root, and what GRUB then sees. The UUID of the target's
// BOOT ends in 2.
var sysroots = map[string]sysrootCase{
	"one disk":          {"disk $t 2", "", 0, []string{uuid2, "/boot/deltaup/a/vmlinuz", "/boot/deltaup/grubenv"}},
	"BOOT":              {"disk $t 1; disk $t/boot 2", "", 0, []string{uuid2, ")/deltaup/a/vmlinuz", ")/deltaup/grubenv"}},
	"BOOT in a folder":  {"disk $t/boot 2", "", 0, []string{uuid2, ")/deltaup/grubenv"}},
	"bound from inside": {"disk $t 1; disk $t/efi 2; mkdir -p $t/efi/x $t/boot; mount --bind $t/efi/x $t/boot", "", 0, []string{uuid2, ")/x/deltaup/grubenv"}},
	"bound twice":       {"disk other 2; mkdir -p $t; mount --bind other $t", "", 0, []string{uuid2, ")/boot/deltaup/grubenv"}},
	"link":              {"disk $t 1; mount -t tmpfs tmpfs /mnt; mkdir /mnt/efi; disk $t/mnt/efi 2; ln -s /mnt/efi $t/boot", "", 0, []string{uuid2, ")/deltaup/grubenv"}},
	"proc":              {"disk $t 2; mkdir $t/proc $t/sys $t/dev; mount --bind /proc $t/proc; mount --rbind /sys $t/sys; mount --rbind /dev $t/dev", "", 0, []string{uuid2}},
	"hidden":            {"disk $t 1; disk $t/boot 1; disk $t 2", "", 0, []string{uuid2, ")/boot/deltaup/grubenv"}},

	"folder":         {"mkdir $t", "", 18, []string{"file system is not known", "is a folder on what is mounted on"}},
	"bound folder":   {"mkdir $t; mount --bind $t $t", "", 18, []string{"file system is not known", "is the folder"}},
	"tmpfs":          {"mkdir $t; mount -t tmpfs tmpfs $t", "", 18, []string{"GRUB does not write to tmpfs"}},
	"two disks":      {"disk $t 2; disk $t/boot/deltaup/a 1", "", 18, []string{"slot a: /boot/deltaup/a: not a place", "on another file system than /boot/deltaup/grubenv"}},
	"no device node": {"disk $t 2; mount --bind /dev/null $(findmnt -no SOURCE $t)", "", 18, []string{"not known how GRUB sees it", "/dev"}},
	"links go round": {"disk $t 2; ln -s /boot2 $t/boot; ln -s /boot $t/boot2", "", 2, []string{"goes round in symbolic links"}},
	"read-only":      {"disk $t 2; mkdir -p $t/etc/deltaup; config; mount -o remount,ro $t", "", 1, []string{"read-only file system"}},
	"no BOOT there":  {"disk $t 1; ln -s /nowhere/at/all $t/boot", "", 0, []string{"/nowhere/at/all/deltaup/grubenv"}},

	"output":               {"disk $t 2", "--whole /boot/grub/grub.cfg", 0, []string{uuid2}},
	"output, relative":     {"disk $t 2", "--whole boot/grub/grub.cfg", 0, []string{uuid2}},
	"output, in full":      {"disk $t 2", "--whole $t/boot/grub/grub.cfg", 0, []string{uuid2}},
	"output behind a link": {"disk $t 2; mkdir -p $t/boot/grub $t/real; ln -s /real/grub.cfg $t/boot/grub/grub.cfg", "--whole /boot/grub/grub.cfg", 0, []string{uuid2}},
	"output above":         {"disk $t 2", "--whole ../../../../../../../boot/grub/grub.cfg", 0, []string{uuid2}},
	"output is a folder":   {"disk $t 2; mkdir -p $t/boot/grub/grub.cfg", "--whole /boot/grub/grub.cfg", 2, []string{"not a place for a script"}},
	"output is the block":  {"disk $t 2", "--part /boot/deltaup/grubenv", 2, []string{"not a place for a script"}},
}

const uuid2 = "11111111-2222-4333-8444-000000000002"

// sysrootShell has the functions of the table, and tells all about a run in files.
const sysrootShell = `
PATH=$PATH:/usr/sbin:/sbin
t=$PWD/t
n=0
disk() {
	n=$((n+1)); truncate -s 16M disk$n || exit 99
	mke2fs -q -F -t ext4 -U 11111111-2222-4333-8444-00000000000$2 disk$n || exit 99
	mkdir -p $1; mount -o loop disk$n $1 || exit 99
}
config() {
	for s in a b; do
		printf '[[slot]]\nname="%s"\npath="/data/%s"\nboot="/boot/deltaup/%s"\nimage="LABEL=x:/%s"\n' $s $s $s $s
	done >$t/etc/deltaup/deltaup.toml
}
state() { find . -xdev ! -path './disk*' ! -path ./after ! -path ./before ! -name stderr; find $t; }
MOUNTS
[ -e $t/etc/deltaup/deltaup.toml ] || { mkdir -p $t/etc/deltaup; config; }
state >before
"$DELTAUP" boot setup --sysroot t FLAGS >stdout 2>stderr
code=$?
state | grep -v stdout >after
[ $code = 0 ] || cmp -s before after || { echo CHANGED; diff before after; }
[ $code = 0 ] || { cat stderr; exit $code; }
cat $(grep -v grubenv$ stdout)
grep -v "^$t/" stdout && echo OUTSIDE

# A chroot gives the same.
file=$(grep -v grubenv$ stdout); cp $file first
grep -q . $t/proc/self/mountinfo 2>/dev/null || { mkdir -p $t/proc $t/sys $t/dev; for d in proc sys dev; do mount --rbind /$d $t/$d; done; }
touch $t/deltaup && mount --bind "$DELTAUP" $t/deltaup || echo CHROOT
chroot $t /deltaup boot setup CHROOTFLAGS >/dev/null || { [ $? = 127 ] || echo CHROOT; exit 0; }
cmp first $file || echo DIFFERENT
`

// TestSysroot sets up machines that are mounted below a folder, in all the ways that installers
// mount them: what is written tells of the target's disk, lies on it, and is what the machine
// itself would write.
func TestSysroot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if testing.Short() {
		t.Skip("mounts and starts processes, with no goroutine of ours")
	}
	memory(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range sysroots {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			deltaup := filepath.Join(dir, "deltaup")
			if err := os.Symlink(self, deltaup); err != nil {
				t.Fatal(err)
			}
			script := strings.NewReplacer("MOUNTS", x.mounts, "CHROOTFLAGS", strings.ReplaceAll(x.flags, "$t", ""), "FLAGS", x.flags).Replace(sysrootShell)
			cmd := exec.Command("unshare", "-m", "sh", "-c", script)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "DELTAUP="+deltaup)
			b, err := cmd.CombinedOutput()
			out, code := string(b), cmd.ProcessState.ExitCode()
			if code == 99 || code == -1 {
				if os.Getenv("DELTAUP_TEST_ALL") != "" {
					t.Fatalf("cannot mount: %v: %s", err, out)
				}
				t.Skipf("cannot mount here: %v: %s", err, out)
			}
			if code != x.code {
				t.Errorf("exit code %d, not %d", code, x.code)
			}
			for _, want := range append(x.want, "") {
				if !strings.Contains(out, want) {
					t.Errorf("it does not say %s", want)
				}
			}
			for _, mark := range []string{"CHANGED", "OUTSIDE", "DIFFERENT", "CHROOT"} {
				if strings.Contains(out, mark+"\n") {
					t.Errorf("%s", mark)
				}
			}
			if t.Failed() {
				t.Logf("%.400s ... %s", out, out[max(0, len(out)-400):])
			}
		})
	}
}
