package dist

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// slotWith makes a slot whose image has a program at /usr/bin/deltaup.
func (l *lab) slotWith(name, program string) (device string) {
	l.t.Helper()
	copyFile(l.t, program, filepath.Join(l.dir, "tree/usr/bin/deltaup"), 0o755)
	image := filepath.Join(l.dir, name+".squashfs")
	run(l.t, "mksquashfs", filepath.Join(l.dir, "tree"), image, "-quiet", "-no-progress", "-comp", "lz4", "-noappend")
	content, err := os.ReadFile(image)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.loop(name, content)
}

// TestRecord boots with a recorder, which the next one takes over from.
func TestRecord(t *testing.T) {
	if testing.Short() {
		t.Skip("a shell's: no goroutine of ours")
	}
	l := newLab(t)
	program := filepath.Join(l.dir, "deltaup")
	if out, err := exec.Command("go", "build", "-o", program, "deltaup/cmd/deltaup").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := l.boot("deltaup.slot=a deltaup.trace deltaup.image="+l.slotWith("recorder", program), `
tr '\0' ' ' </proc/$!/cmdline && echo
cat "$root/etc/version" >/dev/null
"$DELTAUP_RUN/image/usr/bin/deltaup" trace record -o - --until 1ms --root "$root" && wait`)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// The systemd that switches roots spares what has this name.
	if !strings.Contains(out, "\n@deltaup trace record ") {
		t.Errorf("the recorder has another name: %s", out)
	}
	if !strings.Contains(out, "deltaup-trace 1\nlost 0\n") || !strings.Contains(out, " 0 etc/version -\n") {
		t.Errorf("the file that was read is not in the trace: %s", out)
	}
}

// TestRecordSettings records what is read through the overlay of settings.
func TestRecordSettings(t *testing.T) {
	if testing.Short() {
		t.Skip("a shell's: no goroutine of ours")
	}
	l := newLab(t)
	program := filepath.Join(l.dir, "deltaup")
	if out, err := exec.Command("go", "build", "-o", program, "deltaup/cmd/deltaup").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l.write("tree/usr/lib/deltaup/settings.d/50-any.conf", "keep /etc/\n")
	out, err := l.boot("deltaup.slot=a deltaup.trace deltaup.image="+l.slotWith("recorder", program)+" deltaup.data="+l.data, `
cat "$root/etc/version" >/dev/null
findmnt -n -o SOURCE "$root/etc"
"$DELTAUP_RUN/image/usr/bin/deltaup" trace record -o - --until 1ms --root "$root" && wait`)
	if err != nil || !strings.Contains(out, "deltaup-settings\n") || !strings.Contains(out, " 0 etc/version -\n") {
		t.Errorf("%v: the file that was read is not in the trace: %s", err, out)
	}
}

// TestNoRecord boots all the same where nothing can be recorded, and says why.
func TestNoRecord(t *testing.T) {
	l := newLab(t)
	l.write("fails", "#!/bin/sh\necho deltaup: no rights\nexit 1\n")
	for _, x := range []struct{ name, device, want string }{
		{"no program", l.slot, "nothing is recorded: the image has no program /usr/bin/deltaup\n"},
		{"no rights", l.slotWith("fails.image", filepath.Join(l.dir, "fails")), "nothing is recorded: deltaup: no rights\n"},
	} {
		t.Run(x.name, func(t *testing.T) {
			out, err := l.boot("deltaup.slot=a deltaup.trace deltaup.image="+x.device, `[ "$(cat "$root/etc/version")" = 7 ]`)
			if err != nil || !strings.Contains(out, x.want) || strings.Contains(out, "restarted") {
				t.Errorf("%v: got\n%swant %s", err, out, x.want)
			}
		})
	}
}
