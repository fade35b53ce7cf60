package boottest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"deltaup/slotboot/counted"
)

// settingsBoots is what each boot of TestSettings says, and what it must not say.
var settingsBoots = []struct {
	what   string
	wanted []string
	never  []string
}{
	1: {"a first boot", []string{
		"release 1, deltaup.slot=a", "etc: overlay deltaup-settings", "failed units: 0", "settings: the image's defaults, in ",
		"new.conf: new 1", "generations:\n", "kept: 0 settings unchanged, ", "done 1",
	}, []string{"fails: "}},
	2: {"the same image", []string{
		"release 1, deltaup.slot=a", "failed units: 0", "settings: generation 1, in ", "both.conf: first second of the machine",
		"lines.conf: first middle 1 middle 2 last of the machine", "new.conf: new 1", "generations: 1\n", "rollback: slot b boots next",
	}, nil},
	3: {"another image on trial", []string{
		"release 2, deltaup.slot=b deltaup.trial", "failed units: 0", "settings: generation 2, merged for this image, in ",
		"1 path both the machine and the image have changed", "both.conf: first second of the machine",
		"lines.conf: first of version 2 middle 1 middle 2 last of the machine", "new.conf: new 2", "newdaemon:140", "carol:1000",
		"conflicts: /etc/app/both.conf: the machine's version counts", "trial: slot b is bad",
	}, nil},
	4: {"a fallback", []string{
		"release 1, deltaup.slot=a deltaup.fellback=b", "failed units: 0", "settings: generation 4, as this image had them, with the newest settings of now, in ",
		"both.conf: first second of the machine", "lines.conf: first middle 1 middle 2 last of the machine", "new.conf: new 1", "carol:1000", "generations: 1 2 3 4\n",
	}, []string{"newdaemon"}},
	5: {"the other image again", []string{
		"release 2, deltaup.slot=b", "failed units: 0", "settings: generation 3, as this image had them, in ", "local.conf: on version 2",
		"lines.conf: first of version 2 middle 1 middle 2 last of the machine", "new.conf: new 2", "newdaemon:140", "rollback: slot a boots next",
	}, nil},
	6: {"a rollback", []string{
		"release 1, deltaup.slot=a deltaup.trial", "failed units: 0", "as this image had them, in ",
		"lines.conf: first middle 1 middle 2 last of the machine", "new.conf: new 1", "carol:1000",
	}, []string{"newdaemon"}},
	7: {"a damaged store", []string{
		"release 1, deltaup.slot=a", "etc: overlay deltaup-settings", "settings.failed: ", "both.conf: first second\n",
		"lines.conf: first middle 1 middle 2 last\n", "new.conf: new 1", "status: ",
	}, []string{"carol"}},
	8: {"settings are off", []string{
		"release 1, deltaup.slot=a deltaup.settings=off", "deltaup: settings are off: ", "status: ", "settings are not in use at this boot", "done 8",
	}, []string{"etc: overlay"}},
}

// TestSettings follows the settings of a machine through two versions of its image, from boot to
// boot. In testdata/settings, boots has what the machine does, and tools what changes its settings.
func TestSettings(t *testing.T) {
	dir := os.Getenv("DELTAUP_TEST_SETTINGS")
	if dir == "" {
		t.Skip("DELTAUP_TEST_SETTINGS is not set; bench/test-settings.sh sets it")
	}
	file := func(name string) []byte { return readFile(t, filepath.Join(dir, name)) }
	l := systemLayout([]string{"/dev/nvme0n1p3", "/data/b.squashfs"},
		map[string]string{"b": "LABEL=kept:/b.squashfs"})
	l.args = "console=ttyS0 no_timer_check edd=off systemd.show_status=0 deltaup.data=LABEL=kept"
	tree, data := filepath.Join(tempDir(t), "tree"), filepath.Join(tempDir(t), "data")
	writeFile(t, filepath.Join(tree, "b.squashfs"), file("v2.squashfs"))
	tool(t, "mke2fs", "-q", "-F", "-t", "ext4", "-L", "kept", "-d", tree, data, "320M")
	image := file("v1.squashfs")
	image = append(image, make([]byte, mib-len(image)%mib)...)
	d := l.disk(t, counted.State{Active: "a", ID: "5eed5eed"}, bootFiles{file("vmlinuz"), file("initrd.img")},
		image, readFile(t, data))

	start := time.Now()
	console, _ := qemu{disk: d, reboots: true, until: "LIFE done 8", timeout: 80 * time.Minute, memory: 1024}.boot(t)
	t.Logf("8 boots in %v", time.Since(start).Round(time.Second))
	boots := regexp.MustCompile(`(?m)^boot \d+: `).Split(said(t, console), -1)
	if len(boots) != len(settingsBoots) {
		t.Fatalf("the machine has booted %d times", len(boots)-1)
	}
	names := toolNames(t)
	t.Logf("%d tools, laid in %q", len(names), regexp.MustCompile(`in \d+\.\d+ s`).FindAllString(console, -1))
	for i, said := range boots[1:] {
		x := settingsBoots[i+1]
		for _, text := range x.wanted {
			if !strings.Contains(said, text) {
				t.Errorf("boot %d, %s: was not said: %q", i+1, x.what, text)
			}
		}
		for _, text := range append(x.never, "lost ", "failed unit: deltaup") {
			if strings.Contains(said, text) {
				t.Errorf("boot %d, %s: was said: %q", i+1, x.what, text)
			}
		}
		if slices.Contains([]int{2, 3, 4, 6}, i+1) {
			wantKept(t, i+1, said, names)
		} else if n := strings.Count(said, " done\n"); i == 0 && n != len(names)-1 { // systemd had made the machine-id
			t.Errorf("of %d tools %d have changed something", len(names), n)
		}
		if t.Failed() {
			t.Logf("boot %d:\n%s", i+1, said)
		}
	}
}

// toolNames are the tools, in their order.
func toolNames(t *testing.T) (names []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^tool (\S+) '`).FindAllSubmatch(readFile(t, "testdata/settings/tools"), -1) {
		names = append(names, string(m[1]))
	}
	if len(names) < 26 {
		t.Fatal("there are few tools: " + strconv.Itoa(len(names)))
	}
	return names
}

// wantKept demands that a boot has found what each tool had made.
func wantKept(t *testing.T, boot int, said string, names []string) {
	t.Helper()
	_, line, _ := strings.Cut(said, "kept: useradd")
	line, _, _ = strings.Cut("useradd"+line, "\n")
	if got := strings.Fields(line); !slices.Equal(got, names) {
		t.Errorf("boot %d: kept is what these have made:\n%q\nof\n%q", boot, got, names)
	}
}
