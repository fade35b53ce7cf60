package device_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"deltaup/device"
	"deltaup/internal/test/grubtest"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grubenv"
	"deltaup/slotboot/loader"
)

const logHook = "#!/bin/sh\necho \"$DELTAUP_EVENT $DELTAUP_SLOT $DELTAUP_VERSION $DELTAUP_BOOTED $DELTAUP_REASON\" >>$DELTAUP_ROOT/log\n"

// fails has the initramfs of a slot fail, as the model says.
func (m *target) fails(slot, why string) {
	m.t.Helper()
	cmdline := m.read(m.path("/proc/cmdline"))
	block, err := grubenv.Read(m.path(m.Config.Boot.Grubenv))
	if err != nil {
		m.t.Fatal(err)
	}
	id, _ := block.Get("deltaup_id")
	before := m.read(m.path(m.Config.Boot.Grubenv))
	after := string(grubtest.NoteFailed([]byte(before), id, counted.FailedBoot{
		Slot: slot, Why: why, Trial: strings.Contains(cmdline, "deltaup.trial"), FellBack: strings.Contains(cmdline, "deltaup.fellback"),
	}))
	if after == before {
		m.t.Fatalf("%s of slot %s is not noted", why, slot)
	}
	m.write(m.Config.Boot.Grubenv, after)
}

func (m *target) notice() []string {
	m.t.Helper()
	lines, err := m.Notice(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	return lines
}

// TestGivenUp has the initramfs give the active slot up: the boot that follows tells of it, once,
// and the next update fills it again.
func TestGivenUp(t *testing.T) {
	m := newTarget(t)
	m.mustUpdate(2)
	m.markGood()
	m.write("/etc/deltaup/hook.d/log", logHook)
	if lines := m.notice(); len(lines) != 0 {
		t.Errorf("all is well: %q", lines)
	}
	if _, err := os.Stat(m.path("/var/lib/deltaup/fallback.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something is remembered: %v", err)
	}
	m.fails("b", counted.FaultImage)
	if got := m.reboot(); got != "a" {
		t.Fatalf("booted %s", got)
	}
	if cmdline := m.read(m.path("/proc/cmdline")); !strings.Contains(cmdline, "deltaup.fellback=b") {
		t.Errorf("GRUB says %s", cmdline)
	}
	const why = "slot b was given up: its image is no squashfs, or was not written to its end"
	if s := m.status(); s.FellBack != "b" || s.Fallback.String() != why || s.Next != "a" || s.RebootNeeded || len(s.Failed) != 0 || s.Slots[1].State != device.SlotBad {
		t.Errorf("before the notice: %+v", s)
	}
	for range 2 { // at this boot and at the next
		if lines := m.notice(); !slices.Equal(lines, []string{why}) {
			t.Errorf("notice: %q", lines)
		}
		if text := m.read(m.path("/run/motd.d/50-deltaup")); text != "deltaup: "+why+"\n" {
			t.Errorf("motd: %q", text)
		}
		if _, err := os.Stat(m.path("/run/reboot-required")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a reboot is asked for: %v", err)
		}
		m.reboot()
	}
	if got := m.read(m.path("/log")); got != "fallback b 2 a its image is no squashfs, or was not written to its end\n" {
		t.Errorf("hooks: %q", got)
	}
	wrong := 0
	for _, f := range m.Doctor() {
		if f.Level == loader.Wrong && strings.Contains(f.What, "given it up") {
			wrong++
		}
	}
	if wrong != 1 {
		t.Errorf("the doctor says %+v", m.Doctor())
	}
	// The last good one stays, and the release is not to blame.
	if err := m.MarkBad(t.Context(), "a", "why not"); !errors.Is(err, counted.ErrLastGood) {
		t.Errorf("mark the last good one bad: %v", err)
	}
	if got := m.mustUpdate(2); got != "b" {
		t.Errorf("release 2 went to %s", got)
	}
	m.notice()
	m.markGood()
	if s := m.status(); s.FellBack != "" || s.Fallback != nil || s.Slots[1].State != device.SlotGood {
		t.Errorf("at the end: %+v", s)
	}
	// Another time it is told again.
	m.fails("b", counted.FaultMissing)
	m.reboot()
	m.notice()
	if got := m.read(m.path("/log")); strings.Count(got, "fallback b 2 a ") != 2 || !strings.HasSuffix(got, " its file was not there\n") {
		t.Errorf("hooks: %q", got)
	}
}

// TestLate has the active slot's device come too late twice: nothing is given up, and the boot that
// succeeds forgets it.
func TestLate(t *testing.T) {
	m := newTarget(t)
	m.mustUpdate(2)
	m.markGood()
	m.reboot()
	block := m.read(m.path(m.Config.Boot.Grubenv))
	for range 2 {
		m.fails("b", counted.FaultDevice)
		if got := m.reboot(); got != "b" {
			t.Fatalf("booted %s", got)
		}
	}
	if s := m.status(); s.FellBack != "" || s.Fault != "slot b: its device did not appear, in 2 boots in a row" || s.Slots[1].State != device.SlotGood {
		t.Errorf("status: %+v", s)
	}
	if lines := m.notice(); !slices.Equal(lines, []string{"slot b boots again: its device did not appear, in 2 boots in a row"}) {
		t.Errorf("notice: %q", lines)
	}
	if got := m.read(m.path(m.Config.Boot.Grubenv)); got != block {
		t.Errorf("not forgotten: %q", got)
	}
	if lines := m.notice(); len(lines) != 0 {
		t.Errorf("again: %q", lines)
	}
	// From 1 on again; the third time in a row is too much.
	for range 3 {
		m.fails("b", counted.FaultDevice)
	}
	if got := m.reboot(); got != "a" || m.status().Fallback.Reason != "its device did not appear, in 3 boots in a row" {
		t.Errorf("booted %s: %+v", got, m.status())
	}
}

// TestNoticeTrial tells of a trial that GRUB has ended at the boot that follows, with the console;
// the next update tells nothing more.
func TestNoticeTrial(t *testing.T) {
	m := newTarget(t)
	m.mustUpdate(2)
	m.write("/etc/deltaup/hook.d/log", logHook)
	m.write("/sys/fs/pstore/dmesg-ramoops-0", "Kernel panic - not syncing: no init\n")
	for range 3 {
		m.reboot()
	}
	want := []string{"slot b was given up: it was not marked good in any of its boots", "    Kernel panic - not syncing: no init"}
	if lines := m.notice(); !slices.Equal(lines, want) {
		t.Errorf("notice: %q", lines)
	}
	if s := m.status(); len(s.Failed) != 1 || len(s.Failed[0].Console) != 1 {
		t.Errorf("status: %+v", s)
	}
	wantErr(t, m.update(2), device.ErrRolledBack)
	if got := m.read(m.path("/log")); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "fallback b 2 a ") {
		t.Errorf("hooks: %q", got)
	}
}

// TestNoticeFault names what the initramfs saw of a trial that it has ended.
func TestNoticeFault(t *testing.T) {
	m := newTarget(t)
	m.mustUpdate(2)
	m.fails("b", counted.FaultMissing)
	if s := m.status(); s.TriesLeft != 0 || s.Next != "a" {
		t.Errorf("status: %+v", s)
	}
	if got := m.reboot(); got != "a" {
		t.Fatalf("booted %s", got)
	}
	if lines := m.notice(); !slices.Equal(lines, []string{"slot b was given up: its file was not there"}) {
		t.Errorf("notice: %q", lines)
	}
	wantErr(t, m.update(2), device.ErrRolledBack)
	if s := m.status(); len(s.Failed) != 1 || s.Failed[0].Reason != "its file was not there" {
		t.Errorf("status: %+v", s)
	}
}

// TestNoticeNoData tells of a data partition that the initramfs did without.
func TestNoticeNoData(t *testing.T) {
	m := newTarget(t)
	const text = "the data partition LABEL=data did not appear: memory takes its place"
	m.write("/run/deltaup/nodata", text+"\n")
	if lines := m.notice(); !slices.Equal(lines, []string{text}) || m.status().NoData != text {
		t.Errorf("notice: %q, %+v", lines, m.status())
	}
	if got := m.read(m.path("/run/motd.d/50-deltaup")); got != "deltaup: "+text+"\n" {
		t.Errorf("motd: %q", got)
	}
}

// TestNoticeNoDataCounted: while the data partition is missing its fault stays, and the hooks are
// told once a boot; a boot that has it forgets the fault.
func TestNoticeNoDataCounted(t *testing.T) {
	m := newTarget(t)
	m.write("/etc/deltaup/hook.d/log", logHook)
	for range 3 {
		m.fails("a", counted.FaultData)
	}
	const text = "the data partition LABEL=data did not appear, in 3 boots in a row: memory takes its place"
	const fault = "slot a: the data partition was missing or could not be mounted, in 3 boots in a row"
	m.write("/run/deltaup/nodata", text+"\n")
	for range 2 {
		if lines := m.notice(); !slices.Equal(lines, []string{text}) {
			t.Errorf("notice: %q", lines)
		}
	}
	if s := m.status(); s.Fault != fault || s.NoData != text || s.FellBack != "" {
		t.Errorf("status: %+v", s)
	}
	if got := m.read(m.path("/log")); got != "no-data a  a "+text+"\n" {
		t.Errorf("hooks: %q", got)
	}
	if err := os.RemoveAll(m.path("/run/deltaup/nodata")); err != nil {
		t.Fatal(err)
	}
	m.reboot()
	want := []string{"slot a boots again: the data partition was missing or could not be mounted, in 3 boots in a row"}
	if lines := m.notice(); !slices.Equal(lines, want) {
		t.Errorf("notice: %q", lines)
	}
	if s := m.status(); s.Fault != "" || s.NoData != "" {
		t.Errorf("status: %+v", s)
	}
}

// TestNoticeBad shows why a slot was marked bad, whose hooks have run.
func TestNoticeBad(t *testing.T) {
	m := newTarget(t)
	m.mustUpdate(2)
	m.write("/etc/deltaup/hook.d/log", logHook)
	if err := m.MarkBad(t.Context(), "b", "a required check failed: 10-net"); err != nil {
		t.Fatal(err)
	}
	m.reboot()
	if lines := m.notice(); !slices.Equal(lines, []string{"slot b was given up: a required check failed: 10-net"}) {
		t.Errorf("notice: %q", lines)
	}
	if got := m.read(m.path("/log")); got != "bad b 2 b a required check failed: 10-net\n" {
		t.Errorf("hooks: %q", got)
	}
}

// TestNoticeAgain has a release fail, be put on trial anew by hand, and fail again before anything
// has looked: that is a fallback of its own, for the hooks and for what is not installed again.
func TestNoticeAgain(t *testing.T) {
	m := newTarget(t)
	m.mustUpdate(2)
	m.write("/etc/deltaup/hook.d/log", logHook)
	for n := range 2 {
		for m.reboot() != "a" {
		}
		m.notice()
		if got := m.read(m.path("/log")); strings.Count(got, "fallback b 2 a ") != n+1 {
			t.Errorf("hooks: %q", got)
		}
		if s := m.status(); s.FellBack != "b" || !slices.ContainsFunc(s.Failed, func(f device.Failure) bool { return f.Slot == "b" }) {
			t.Errorf("status: %+v", s)
		}
		wantErr(t, m.update(2), device.ErrRolledBack)
		if slot, err := m.Rollback(t.Context(), "2"); err != nil || slot != "b" {
			t.Fatalf("%s, %v", slot, err)
		}
	}
}

// TestStateFilesLeft has processes that were killed leave files: the next change of any state file
// removes them.
func TestStateFilesLeft(t *testing.T) {
	m := newTarget(t)
	m.mustUpdate(2)
	const left = "/var/lib/deltaup/tmp/deltaup-0123456789abcdef.tmp"
	gone := func(what string) {
		t.Helper()
		if _, err := os.Stat(m.path(left)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
		m.write(left, "half")
	}
	m.write(left, "half")
	m.scrub(device.ScrubOptions{})
	gone("a scrub")
	for range 3 {
		m.reboot()
	}
	m.write("/var/lib/deltaup/fallback.json", "no JSON")
	m.notice()
	gone("a notice")
	for _, folder := range []string{"/var/lib/deltaup/sums/tmp", "/var/lib/deltaup/fallback.tmp"} {
		if _, err := os.Stat(m.path(folder)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("files are made in a folder that nobody clears: %v", err)
		}
	}
}
