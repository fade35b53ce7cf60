package dist

import (
	"os"
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
		{"dies", listed + data + " deltaup_do=die", "settings: deltaup ended with 137\n", "deltaup ended with 137\n"},
		{"cannot be run", noProgram + data, "settings: deltaup ended with ", "deltaup ended with "},
	} {
		t.Run(x.name, func(t *testing.T) {
			out, err := l.boot("deltaup.slot=a deltaup.image="+x.args+" quiet", `[ "$(cat "$root/etc/version")" = 7 ] &&
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
