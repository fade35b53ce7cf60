package device_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/device"
	"deltaup/internal/durable"
	"deltaup/internal/human"
	"deltaup/mirror"
	"deltaup/mirror/client"
	"deltaup/mirror/serve"
)

// repair repairs from the mirror that ends with version, and gives what it took.
func (m *target) repair(version int, o device.InstallOptions) (apply.Result, error) {
	m.t.Helper()
	reader, err := client.New([]string{m.w.mirror[version-1]}, client.Options{})
	if err != nil {
		m.t.Fatal(err)
	}
	return m.repairFrom(reader, o)
}

func (m *target) repairFrom(reader *client.Client, o device.InstallOptions) (apply.Result, error) {
	m.t.Helper()
	o.Repair = true
	u, err := m.Prepare(m.t.Context(), apply.Request{Client: reader, Optimize: delta.ForBytes}, o)
	if err != nil {
		return apply.Result{}, err
	}
	defer func() {
		if err := u.Close(); err != nil {
			m.t.Error(err)
		}
	}()
	return u.Run(m.t.Context())
}

// checkHolds demands that a slot holds a version as it was published.
func (m *target) checkHolds(slot string, version int) {
	m.t.Helper()
	if m.read(m.path("/data/"+slot+".squashfs")) != m.read(m.w.image[version-1]) {
		m.t.Errorf("slot %s does not hold the published image", slot)
	}
	m.checkWhole(slot)
}

// TestRepair damages the running slot, release 2, in each kind of place: repaired, the other slot
// holds what was published, and what was fetched is about what was damaged.
func TestRepair(t *testing.T) {
	sound := onB(t)
	none, err := sound.repair(4, device.InstallOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sound.checkHolds("a", 2)
	list := sound.places("b")
	for i := range list {
		for _, kind := range []string{"other bytes", "unreadable"} {
			t.Run(list[i].name+", "+kind, func(t *testing.T) {
				m := onB(t)
				p := list[i]
				restore := func() {}
				if kind == "other bytes" {
					m.flip(p.file, p.offset)
				} else {
					restore = m.badSector(p.file, p.offset)
				}
				before := m.read(m.path(p.file))
				m.scrub(device.ScrubOptions{})
				r, err := m.repair(4, device.InstallOptions{})
				restore()
				if err != nil {
					t.Fatal(err)
				}
				m.checkHolds("a", 2)
				if m.read(m.path(p.file)) != before {
					t.Error("the running slot was written to")
				}
				// A stored block of the world's images, or a chunk, has up to 128 KiB; a kernel
				// needs the index and the recipe besides.
				if more := r.BytesFetched - none.BytesFetched; more <= 0 && p.what == device.ScrubImage || more > 128<<10 {
					t.Errorf("%d bytes were fetched, %d without damage", r.BytesFetched, none.BytesFetched)
				}
				if got := m.reboot(); got != "a" {
					t.Fatalf("booted %s", got)
				}
				m.markGood()
				if s := m.status(); s.Booted != "a" || m.version("a") != "2" || len(s.Failed) != 0 {
					t.Errorf("afterwards: %+v", s)
				}
				// The slot before is the damaged one now; the next update writes it anew.
				if got := m.wrongs(); kind == "other bytes" && !strings.Contains(got, "slot b") {
					t.Errorf("the doctor says %q", got)
				}
				if got := m.mustUpdate(3); got != "b" || strings.Contains(m.wrongs(), "slot b") {
					t.Errorf("release 3 went to %s; the doctor says %q", got, m.wrongs())
				}
			})
		}
	}
}

// TestRepairRefused: what stands against a repair.
func TestRepairRefused(t *testing.T) {
	refused := func(m *target, want error) {
		t.Helper()
		_, err := m.repair(3, device.InstallOptions{})
		wantErr(t, err, want)
	}
	m := newTarget(t)
	refused(m, device.ErrUnknownRelease) // a factory has filled it
	m.scrub(device.ScrubOptions{})
	refused(m, device.ErrUnknownRelease)
	m.mustUpdate(2)
	refused(m, device.ErrTrial)
	m.markGood()
	m.reboot()
	if err := m.Pin("a", true); err != nil {
		t.Fatal(err)
	}
	refused(m, device.ErrNoSlot)
	if err := m.Pin("a", false); err != nil {
		t.Fatal(err)
	}
	if _, err := m.repair(1, device.InstallOptions{}); !errors.Is(err, client.ErrMissing) {
		t.Errorf("a mirror without the release: %v", err)
	}
	// The mirror has another image under that version.
	known := m.read(m.path("/var/lib/deltaup/slots.json"))
	image := chunkstore.Sum([]byte(m.read(m.w.image[1]))).String()
	other := strings.ReplaceAll(known, image, chunkstore.Sum(nil).String())
	if other == known {
		t.Fatalf("%s is not in the records: %s", image, known)
	}
	m.write("/var/lib/deltaup/slots.json", other)
	refused(m, mirror.ErrOtherRelease)
	m.write("/var/lib/deltaup/slots.json", known)
	if _, err := m.repair(3, device.InstallOptions{}); err != nil {
		t.Fatal(err)
	}
	refused(m, device.ErrReboot)
	// The slot that boots next is damaged as well: once more.
	m.flip("/data/a.squashfs", 5000)
	m.scrub(device.ScrubOptions{Slot: "a"})
	if _, err := m.repair(3, device.InstallOptions{}); err != nil {
		t.Fatal(err)
	}
	m.checkHolds("a", 2)
	if got := m.reboot(); got != "a" {
		t.Fatalf("booted %s", got)
	}
	m.markGood()
	// from one copy to the other
	if slot, err := m.Rollback(t.Context(), "2"); err != nil || slot != "b" {
		t.Fatalf("%s, %v", slot, err)
	}
}

// TestRepairRolledBack: a release that was rolled back is repaired only when somebody insists.
func TestRepairRolledBack(t *testing.T) {
	m := onB(t)
	if _, err := m.Rollback(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	_, err := m.repair(3, device.InstallOptions{})
	wantErr(t, err, device.ErrRolledBack)
	if _, err = m.repair(3, device.InstallOptions{Again: true}); err != nil {
		t.Error(err)
	}
	m.checkHolds("a", 2)
}

// TestRepairVersion: where nobody knows which release runs, the version says it.
func TestRepairVersion(t *testing.T) {
	m := newTarget(t)
	m.flip("/data/a.squashfs", 9)
	reader, err := client.New([]string{m.w.mirror[2]}, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	u, err := m.Prepare(t.Context(), apply.Request{Client: reader, Version: "1"}, device.InstallOptions{Repair: true})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if _, err := u.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.checkHolds("b", 1)

	known := onB(t)
	reader, err = client.New([]string{known.w.mirror[2]}, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = known.Prepare(t.Context(), apply.Request{Client: reader, Version: "3"}, device.InstallOptions{Repair: true})
	wantErr(t, err, mirror.ErrOtherRelease)
}

// TestRepairWaits: an update that waits for its restart is not undone by a repair, which may run
// unattended; one that is damaged itself is.
func TestRepairWaits(t *testing.T) {
	m := onB(t)
	if err := m.update(3); err != nil {
		t.Fatal(err)
	}
	before := m.read(m.path("/data/a.squashfs"))
	_, err := m.repair(3, device.InstallOptions{})
	wantErr(t, err, device.ErrReboot)
	if m.read(m.path("/data/a.squashfs")) != before || m.status().Next != "a" {
		t.Error("the update was undone")
	}
	m.flip("/data/a.squashfs", 5000)
	m.scrub(device.ScrubOptions{Slot: "a"})
	if _, err := m.repair(3, device.InstallOptions{}); err != nil {
		t.Fatal(err)
	}
	m.checkHolds("a", 2)
}

// TestRepairNothingElse: pull says that the release runs already, and what to do.
func TestRepairNothingElse(t *testing.T) {
	m := onB(t)
	m.flip("/data/b.squashfs", 9)
	m.scrub(device.ScrubOptions{})
	err := m.update(2)
	wantErr(t, err, device.ErrNothing)
	if !strings.Contains(err.Error(), "deltaup repair") {
		t.Errorf("got %v", err)
	}
	if damaged, err := m.Damaged(); err != nil || len(damaged) != 1 || damaged[0] != "b" {
		t.Errorf("%q, %v", damaged, err)
	}
}

// TestRepairWithoutBlockmap: a mirror that has lost the block map is got along with.
func TestRepairWithoutBlockmap(t *testing.T) {
	m := onB(t)
	m.flip("/data/b.squashfs", m.places("b")[3].offset)
	files := serve.Handler(m.w.mirror[2])
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "blockmaps/") {
			http.NotFound(w, r)
			return
		}
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	reader, err := client.New([]string{server.URL}, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.repairFrom(reader, device.InstallOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m.checkHolds("a", 2)
	if r.Route == "blocks" || r.Route == "whole" {
		t.Errorf("route %s", r.Route)
	}
}

// TestRepairKilled stops a repair before each of its durable steps. The same command then ends it,
// and until then the running slot is what boots.
func TestRepairKilled(t *testing.T) {
	m := onB(t)
	m.flip("/data/b.squashfs", m.places("b")[3].offset)
	killed := errors.New("killed")
	for n := 1; ; n++ {
		left := int64(n)
		var count atomic.Int64
		restore := durable.SetHook(func(durable.Action) error {
			if count.Add(1) >= left {
				return killed
			}
			return nil
		})
		_, err := m.repair(3, device.InstallOptions{})
		restore()
		if err == nil {
			if n < 10 {
				t.Errorf("only %d steps", n)
			}
			break
		}
		if errors.Is(err, device.ErrReboot) { // it was cut off behind the activation
			break
		}
		if !errors.Is(err, killed) {
			t.Fatalf("step %d: %v", n, err)
		}
		if c := m.choose(); c.Slot == "a" {
			m.checkHolds("a", 2)
		}
	}
	m.checkHolds("a", 2)
	if got := m.reboot(); got != "a" {
		t.Errorf("booted %s", got)
	}
}

// TestUpdateFromDamaged: the next release comes although the running image is damaged, by a flipped
// bit as well as by a bad sector, and whether its recipe is kept or not.
func TestUpdateFromDamaged(t *testing.T) {
	list := onB(t).places("b")
	for i := range list {
		for _, kind := range []string{"other bytes", "unreadable"} {
			for _, kept := range []bool{true, false} {
				m := onB(t)
				p := list[i]
				restore := func() {}
				if kind == "other bytes" {
					m.flip(p.file, p.offset)
				} else {
					restore = m.badSector(p.file, p.offset)
				}
				if !kept {
					removeAll(t, m.path("/var/lib/deltaup/recipes"))
				}
				u, err := m.prepare(3, device.InstallOptions{})
				if err == nil {
					_, err = u.Run(t.Context())
					u.Close()
				}
				restore()
				if err != nil {
					t.Errorf("%s, %s, kept %v: %v", p.name, kind, kept, err)
					continue
				}
				m.checkHolds("a", 3)
			}
		}
	}
}

// TestUpdateAdvisesRepair: who updates from a damaged image is told what that costs, and of the way
// that costs less.
func TestUpdateAdvisesRepair(t *testing.T) {
	for name, spoil := range map[string]func(m *target){
		"whole": func(*target) {},
		"inode table": func(m *target) {
			for _, p := range m.places("b") {
				if p.name == "inode table" {
					m.flip(p.file, p.offset)
				}
			}
		},
	} {
		m := onB(t)
		spoil(m)
		removeAll(t, m.path("/var/lib/deltaup/recipes"))
		var warnings []string
		u, err := m.prepare(3, device.InstallOptions{DryRun: true, Warning: func(s string) { warnings = append(warnings, s) }})
		if err != nil {
			t.Fatal(err)
		}
		want := "slot b, which runs, is damaged, and this update fetches " + human.Size(u.Quote().Bytes)
		if got := strings.Join(warnings, "\n"); strings.Contains(got, want) != (name != "whole") || strings.Contains(got, "repair") != (name != "whole") {
			t.Errorf("%s: warnings %q, want %s", name, warnings, want)
		}
		u.Close()
	}
}

// TestRepairEnds: a context that has ended ends a repair.
func TestRepairEnds(t *testing.T) {
	m := onB(t)
	reader, err := client.New([]string{m.w.mirror[2]}, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Prepare(ctx, apply.Request{Client: reader}, device.InstallOptions{Repair: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func removeAll(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := durable.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
}
