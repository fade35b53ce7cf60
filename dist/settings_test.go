package dist

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeSettings is a program in place of deltaup that shows a folder, and does what deltaup_do= of
// the kernel's arguments says.
const fakeSettings = `#!/bin/sh
do=$(sed -n 's/.* deltaup_do=\([a-z]*\).*/\1/p' "$DELTAUP_CMDLINE")
echo "settings: called with $*"
case $do in
fail) echo "a line of no interest" ; echo "deltaup: the store is damaged" >&2; exit 1 ;;
tell) echo "in more words" >"$DELTAUP_RUN/settings.failed"; echo "deltaup: fails" >&2; exit 1 ;;
hang) trap '' TERM; exec sleep 33 ;;
die) kill -9 $$ ;;
freeze) fsfreeze -f "$DELTAUP_RUN/data"; exec touch "$DELTAUP_RUN/data/x" ;; # nothing can kill touch
esac
`

// TestSettingsShell boots with programs that do what deltaup should not do, and with none. It always
// boots.
func TestSettingsShell(t *testing.T) {
	if testing.Short() {
		t.Skip("a shell's: no goroutine of ours")
	}
	l := newLab(t)
	l.write("fake", fakeSettings)
	without := l.slotWith("unlisted.image", filepath.Join(l.dir, "fake"))
	l.write("tree/opt/.filetool.lst", "etc\n")
	tiny := l.slotWith("tiny.image", filepath.Join(l.dir, "fake"))
	if err := os.Remove(filepath.Join(l.dir, "tree/opt/.filetool.lst")); err != nil {
		t.Fatal(err)
	}
	l.write("tree/usr/lib/deltaup/settings.d/50-any.conf", "keep /etc/\n")
	listed := l.slotWith("listed.image", filepath.Join(l.dir, "fake"))
	l.write("nothing", "\x7fELF, and no program\n")
	noProgram := l.slotWith("none.image", filepath.Join(l.dir, "nothing"))
	data := " deltaup.data=" + l.data
	const called = "deltaup: settings: called with settings mount --root "
	t.Setenv("DELTAUP_SETTINGS", "1")
	for _, x := range []struct{ name, args, want, failed string }{
		{"listed", listed + data, called, ""},
		{"TinyCore's list", tiny + data, called, ""},
		{"no list", without + data, "", ""},
		{"no data partition", listed, "", ""},
		{"memory in its place", listed + " deltaup.nodata deltaup.data=LABEL=none-such", called, ""},
		{"a persistent root", listed + data + " deltaup.overlay=data", called, ""},
		{"off", listed + data + " deltaup.settings=off", "settings are off", ""},
		{"fails", listed + data + " deltaup_do=fail", "settings: the store is damaged\n", "the store is damaged\n"},
		{"tells more", listed + data + " deltaup_do=tell", "settings: fails\n", "in more words\n"},
		{"hangs", listed + data + " deltaup_do=hang", "did not end within 1 seconds\n", "deltaup did not end within 1 seconds\n"},
		{"waits for a disk that does not answer", listed + data + " deltaup_do=freeze", "did not end within 1 seconds\n", "deltaup did not end within 1 seconds\n"},
		{"dies", listed + data + " deltaup_do=die", "settings: deltaup ended with 137\n", "deltaup ended with 137\n"},
		{"cannot be run", noProgram + data, "settings: deltaup ended with ", "deltaup ended with "},
	} {
		for _, shell := range [][]string{nil, {"bash"}, {"busybox", "sh"}} {
			if shell != nil {
				if _, err := exec.LookPath(shell[0]); err != nil {
					continue
				}
			}
			t.Run(strings.Join(append(shell, x.name), " "), func(t *testing.T) {
				l.shell = shell
				out, err := l.boot("deltaup.slot=a deltaup.image="+x.args+" quiet", `[ "$(cat "$root/etc/version")" = 7 ] &&
{ fsfreeze -u "$DELTAUP_RUN/data" 2>/dev/null || true; } &&
echo "failed: $(cat "$DELTAUP_RUN/settings.failed" 2>/dev/null)"`)
				if err != nil || strings.Contains(out, "restarted") || !strings.Contains(out, x.want) || !strings.Contains(out, "failed: "+x.failed) {
					t.Errorf("%v: got\n%s\nwant %q and %q", err, out, x.want, x.failed)
				}
				if x.want == "" && strings.Contains(out, "called") {
					t.Errorf("deltaup was called: %s", out)
				}
				if x.failed == "" && !strings.Contains(out, "failed: \n") {
					t.Errorf("something failed: %s", out)
				}
			})
		}
	}
}

// TestSettings boots the real program: what was changed is there at the next boot, and so is what
// lies in a folder of data. What fails does not keep the machine from booting.
func TestSettings(t *testing.T) {
	if testing.Short() {
		t.Skip("a shell's: no goroutine of ours")
	}
	l := newLab(t)
	program := filepath.Join(l.dir, "deltaup")
	if out, err := exec.Command("go", "build", "-o", program, "deltaup/cmd/deltaup").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l.write("tree/usr/lib/deltaup/settings.d/50-any.conf", "keep /etc/\nkeep /opt/kept.conf\ndata /home/\ndata /var/log/app/\n")
	l.write("tree/etc/removed", "x\n")
	l.write("tree/home/user/file", "of the image\n")
	slot := l.slotWith("settings.image", program)
	const first = `[ "$(cat "$root/etc/version")" = 7 ] && ! [ -e "$DELTAUP_RUN/settings.failed" ] && [ "$(cat "$root/home/user/file")" = "of the image" ] &&
	echo 8 >"$root/etc/version" && rm "$root/etc/removed" && echo mine >"$root/home/user/file" && echo x >"$root/var/log/app/log" &&
	mkdir "$root/etc/new" && echo new >"$root/etc/new/file" && echo kept >"$root/opt/kept.conf" && echo lost >"$root/opt/lost.conf" && echo lost >"$root/usr/lost"`
	const second = `[ "$(cat "$root/etc/version")" = 8 ] && ! [ -e "$root/etc/removed" ] && [ "$(cat "$root/home/user/file")" = mine ] && [ -f "$root/var/log/app/log" ] &&
	[ "$(cat "$root/etc/new/file")" = new ] && [ "$(cat "$root/opt/kept.conf")" = kept ] && ! [ -e "$root/opt/lost.conf" ] && ! [ -e "$root/usr/lost" ] && ! [ -e "$DELTAUP_RUN/settings.failed" ]`
	base := "deltaup.slot=a deltaup.image=" + slot + " deltaup.data=" + l.data
	for _, x := range []struct{ name, cmdline, then string }{
		{"a first boot", base, first},
		{"what was changed", base, second},
		{"what was changed, once more", base, second},
		{"off", base + " deltaup.settings=off", `[ "$(cat "$root/etc/version")" = 7 ] && [ "$(cat "$root/home/user/file")" = "of the image" ]`},
		{"from memory", base + " deltaup.toram", second},
		{"a persistent root", base + " deltaup.overlay=data",
			second + ` && echo below >"$root/srv" && findmnt -n -o SOURCE "$root/etc" | grep -q deltaup-settings`},
		{"a persistent root, again", base + " deltaup.overlay=data", second + ` && [ "$(cat "$root/srv")" = below ]`},
		{"memory in place of the data partition", "deltaup.slot=a deltaup.nodata deltaup.data=LABEL=none-such deltaup.image=" + slot, first},
		{"a store that is a link", base, second + ` && mv "$DELTAUP_RUN/data/deltaup/settings" "$DELTAUP_RUN/data/kept" && ln -s ../kept "$DELTAUP_RUN/data/deltaup/settings"`},
		{"the image's defaults", base, `[ "$(cat "$root/etc/version")" = 7 ] && [ "$(cat "$root/home/user/file")" = mine ] && grep -q settings "$DELTAUP_RUN/settings.failed" &&
	rm "$DELTAUP_RUN/data/deltaup/settings" && mv "$DELTAUP_RUN/data/kept" "$DELTAUP_RUN/data/deltaup/settings"`},
		{"the store is back", base, second},
		{"no store", base, `rm -r "$DELTAUP_RUN/data/deltaup/settings" && echo x >"$DELTAUP_RUN/data/deltaup/settings"`},
		{"a file in its place", base, `[ "$(cat "$root/etc/version")" = 7 ] && [ -s "$DELTAUP_RUN/settings.failed" ]`},
	} {
		if !t.Run(x.name, func(t *testing.T) {
			out, err := l.boot(x.cmdline, x.then)
			if err != nil || strings.Contains(out, "restarted") {
				t.Errorf("%v: %s", err, out)
			}
		}) {
			return // the next one needs what this one leaves
		}
	}
}
