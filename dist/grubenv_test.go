package dist

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"deltaup/internal/test/effort"
	"deltaup/internal/test/grubtest"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grubenv"
)

// noting is one environment block, and the boot that failed.
type noting struct {
	env  []byte
	id   string // that the kernel was given
	boot counted.FailedBoot
}

// whys are all words that the script says.
var whys = []string{
	counted.FaultMissing, counted.FaultImage, counted.FaultDevice, counted.FaultMount,
	counted.FaultRead, counted.FaultKernel, counted.FaultData,
}

// anyNoting is a block as deltaup leaves it, with or without variables of others, and a boot that
// goes with it.
func anyNoting(t *testing.T, r *rand.Rand) noting {
	t.Helper()
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	names := []string{"a", "b", "c_3", "longest_of_them"}[:2+r.IntN(3)]
	vars := map[string]string{"deltaup_id": "5ac07e11", "deltaup_active": pick(append(names, "a", "a", "")...), "deltaup_trial": "", "deltaup_tries": "0", "deltaup_fault": ""}
	if trial := pick(names...); trial != vars["deltaup_active"] && r.IntN(2) == 0 {
		vars["deltaup_trial"], vars["deltaup_tries"] = trial, pick("0", "1", "2", "9", "u", "k")
	}
	if r.IntN(2) == 0 {
		vars["deltaup_fault"] = pick(vars["deltaup_active"], pick(names...)) + ":" + pick(append(whys, "other")...) + ":" + pick("1", "2", "3", "9")
		if strings.HasPrefix(vars["deltaup_fault"], ":") {
			vars["deltaup_fault"] = ""
		}
	}
	for _, name := range names {
		vars["deltaup_bad_"+name] = pick("0", "0", "0", "1")
	}
	if r.IntN(4) == 0 {
		vars["deltaup_zeal"], vars["deltaup_Upper"] = pick("", "of a later version"), "1"
	}
	if r.IntN(20) == 0 {
		vars["deltaup_zeal"] = strings.Repeat("z", 180+r.IntN(260))
	}
	for n := r.IntN(3); n > 0; n-- {
		vars[fmt.Sprint("saved_entry", n)] = pick("", "Debian GNU/Linux", `back\slash`, "two\nlines", "\xff")
	}
	block := new(grubenv.Block)
	for name, value := range vars {
		if err := block.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	env, err := block.Marshal()
	if err != nil {
		return anyNoting(t, r)
	}
	slot := pick(names...)
	id := pick("5ac07e11", "5ac07e11", "5ac07e11", "5ac07e11", "5ac07e11", "5ac07e12", "")
	return noting{env, id, counted.FailedBoot{
		Slot: slot, Trial: r.IntN(4) == 0, FellBack: r.IntN(4) == 0, Why: pick(whys...),
	}}
}

// damaged is a copy of a block of which something has changed.
func damaged(b []byte, r *rand.Rand) []byte {
	b = bytes.Clone(b)
	lines := bytes.SplitAfter(b, []byte("\n"))
	at := r.IntN(len(lines))
	refill := func(b []byte) []byte {
		return append(b, bytes.Repeat([]byte("#"), grubenv.Size)...)[:grubenv.Size]
	}
	switch r.IntN(9) {
	case 0:
		b[r.IntN(len(b))] = byte(r.IntN(256))
	case 1:
		b[r.IntN(300)] = "\x00\n=#\\_:01ukab"[r.IntN(13)]
	case 2:
		return b[:r.IntN(len(b))]
	case 3:
		return append(b, '#')
	case 4: // a line less
		return refill(slices.Concat(slices.Delete(lines, at, at+1)...))
	case 5: // a line twice
		return refill(slices.Concat(slices.Insert(lines, at, lines[r.IntN(len(lines))])...))
	case 6: // another order
		r.Shuffle(len(lines)-1, func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		return refill(slices.Concat(lines...))
	case 7: // torn
		clear(b[grubenv.Sector*r.IntN(2):][:grubenv.Sector])
	case 8: // padding lost, or others' variables gone
		i := grubenv.Sector - 1 + r.IntN(2)
		copy(b[i:], bytes.Repeat([]byte("#"), len(b)-i))
	}
	return b
}

// shells are those that an initramfs can have, with their tools: a folder of the PATH, or none.
func shells(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{"bash": {tool(t, "bash")}, "dash": {tool(t, "dash")}}
	if path, err := exec.LookPath("busybox"); err == nil {
		dir := t.TempDir()
		for _, applet := range []string{"dd", "od", "tr", "sed", "sleep", "sync", "readlink", "mkdir"} {
			if err := os.Symlink(path, filepath.Join(dir, applet)); err != nil {
				t.Fatal(err)
			}
		}
		found["busybox"] = []string{path, "sh", dir}
	} else if os.Getenv("DELTAUP_TEST_ALL") != "" {
		t.Fatal(err)
	}
	return found
}

// quickDir is a folder in memory, where that can be: all is synced.
func quickDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "deltaup-dist")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestNoteDifferential has the shells of initramfs change blocks as the model of package counted
// does, byte for byte: blocks as deltaup leaves them, and damaged ones, of which none changes that
// the model leaves alone.
func TestNoteDifferential(t *testing.T) {
	r := rand.New(rand.NewPCG(14, 1))
	var cases []noting
	for len(cases) < effort.Times(300) {
		n := anyNoting(t, r)
		if len(cases)%3 == 2 {
			n.env = damaged(n.env, r)
		}
		cases = append(cases, n)
	}
	const script = `
. "$1"
cd "$2" || exit 1
for case in *; do
	DELTAUP_CMDLINE=$case/cmdline
	read -r deltaup_slot deltaup_id why <"$case/boot"
	[ "$deltaup_id" != - ] || deltaup_id=''
	deltaup_env_note "$case/env" "$why" || true
done 2>"$3"`
	here, err := filepath.Abs("initramfs/deltaup.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, log := quickDir(t), filepath.Join(t.TempDir(), "log")
			for i, c := range cases {
				id, cmdline := c.id, "quiet"
				if id == "" {
					id = "-"
				}
				if c.boot.Trial {
					cmdline += " deltaup.trial"
				}
				if c.boot.FellBack {
					cmdline += " deltaup.fellback=z"
				}
				for file, b := range map[string][]byte{"env": c.env, "cmdline": []byte(cmdline + "\n"), "boot": []byte(c.boot.Slot + " " + id + " " + c.boot.Why + "\n")} {
					path := filepath.Join(dir, strconv.Itoa(i), file)
					if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, b, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			args := []string{"-c", script, "sh", here, dir, log}
			cmd := exec.Command(shell[0], args...)
			cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
			if len(shell) == 3 {
				cmd = exec.Command(shell[0], append([]string{shell[1]}, args...)...)
				cmd.Env = append(os.Environ(), "PATH="+shell[2])
			}
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Fatalf("%v: %s", err, out)
			}
			changed, wrong := 0, 0
			for i, c := range cases {
				got, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(i), "env"))
				if err != nil {
					t.Fatal(err)
				}
				want := grubtest.NoteFailed(c.env, c.id, c.boot)
				if !bytes.Equal(got, want) && wrong < 5 {
					wrong++
					t.Errorf("case %d, %+v of\n%q\ngives\n%q, want\n%q", i, c.boot, c.env, got, want)
				}
				if !bytes.Equal(want, c.env) {
					changed++
				}
			}
			if changed < len(cases)/6 || changed > len(cases)/2 {
				t.Errorf("%d of %d blocks change: the cases have no weight", changed, len(cases))
			}
			if told, err := os.ReadFile(log); err != nil || bytes.Contains(told, []byte("sh:")) || bytes.Contains(told, []byte("not found")) {
				t.Errorf("the shell says: %v %s", err, told)
			}
			t.Logf("%d of %d blocks change", changed, len(cases))
		})
	}
}
