package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"deltaup/device"
	"deltaup/internal/human"
	"deltaup/settings"
	"deltaup/slotboot/config"
	"deltaup/slotboot/loader"
)

// settingsSummary is what status, the notice and the doctor tell of settings.
type settingsSummary struct {
	Generation int      `json:"generation"` // 0: the image's defaults
	Kept       int      `json:"kept"`
	Changed    int      `json:"changed"` // since that generation
	Conflicts  int      `json:"conflicts"`
	NotKept    int      `json:"not_kept"`
	Returned   int      `json:"returned"`         // settings that came back with an older image
	Failed     []string `json:"failed,omitempty"` // what went wrong at this boot
	Error      string   `json:"error,omitempty"`  // why the rest is not known
}

// settingsOf are the options of the settings of a machine with slots.
func settingsOf(d *device.Device) *settingsOptions {
	return &settingsOptions{sysroot: d.Machine.Path("/")}
}

// summarize looks at the settings of a machine; nil when it keeps none.
func summarize(ctx context.Context, d *device.Device) *settingsSummary {
	o := settingsOf(d)
	s := &settingsSummary{Failed: bootFailures(o.sysroot)}
	err := o.withRunning(ctx, false, func(r *settings.Running) error {
		status, err := r.Status()
		if err != nil {
			return err
		}
		if r.Laid != nil {
			s.Generation = r.Laid.Number
		}
		s.Kept, s.Changed = len(status.Unchanged)+len(status.Changed), len(status.Changed)
		s.Conflicts, s.NotKept = len(status.Conflicts), len(status.NotKept)
		if status.Returned != nil {
			s.Returned = len(status.Returned.Paths)
		}
		return nil
	})
	switch {
	case err == nil:
	case len(s.Failed) == 0 && (errors.Is(err, errNoSettings) || errors.Is(err, fs.ErrPermission) || errors.Is(err, settings.ErrNone)):
		return nil
	default:
		s.Error = err.Error()
	}
	return s
}

func printSummary(w io.Writer, s *settingsSummary) {
	if s == nil {
		return
	}
	for _, line := range s.Failed {
		printf(w, "\nsettings: failed at this boot: %s\n", line)
	}
	if s.Error != "" {
		printf(w, "\nsettings: %s\n", s.Error)
		return
	}
	since := "the image's defaults"
	if s.Generation > 0 {
		since = fmt.Sprintf("generation %d", s.Generation)
	}
	printf(w, "\nsettings: %d kept, %d changed since %s", s.Kept, s.Changed, since)
	if s.Conflicts > 0 {
		printf(w, ", %d in conflict with the image", s.Conflicts)
	}
	if s.NotKept > 0 {
		printf(w, "; changed and not kept: %s", count(s.NotKept, "path"))
	}
	if s.Returned > 0 {
		printf(w, "; %d came back with this image", s.Returned)
	}
	printf(w, "\n")
	if s.Conflicts+s.NotKept+s.Returned > 0 {
		printf(w, "deltaup settings status says which\n")
	}
}

// settingsTroubles are the lines of the notice for those who log in.
func settingsTroubles(ctx context.Context, d *device.Device) (lines []string) {
	s := summarize(ctx, d)
	if s == nil {
		return nil
	}
	for _, line := range s.Failed {
		lines = append(lines, "the settings could not be laid: "+line)
	}
	if s.Error != "" {
		lines = append(lines, "settings: "+s.Error)
	}
	if s.Conflicts > 0 {
		lines = append(lines, fmt.Sprintf("%s in conflict with the image: deltaup settings conflicts",
			count(s.Conflicts, "setting")))
	}
	if s.NotKept > 0 {
		lines = append(lines, fmt.Sprintf("%s changed and not kept, the next boot undoes that: deltaup settings status",
			count(s.NotKept, "path")))
	}
	return lines
}

// warnNotKept warns before an update of what the boot after it undoes, and tells it also to those
// who log in.
func warnNotKept(ctx context.Context, d *device.Device, warning func(string)) {
	s := summarize(ctx, d)
	if s == nil {
		return
	}
	_ = d.RefreshNotice(ctx) // the update tells what it lacks
	if s.NotKept > 0 {
		warning(fmt.Sprintf("%s changed and not kept: the restart undoes that; deltaup settings status says which",
			count(s.NotKept, "path")))
	}
}

// vetSettings says what a new image will do with the machine's settings. It fails when the list
// refuses that, unless force is set. Whatever else goes wrong stops no update.
func vetSettings(ctx context.Context, d *device.Device, image string, force bool, warning func(string)) error {
	store, err := settings.OpenReadOnly(settingsOf(d).folders().Store)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var report *settings.Report
	if err == nil {
		report, err = drySettings(ctx, store, image)
		err = errors.Join(err, store.Close())
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, settings.ErrNone) {
		return nil
	}
	if err != nil {
		warning("what becomes of the settings is not known: " + err.Error())
		return nil
	}
	for _, some := range []struct {
		paths []string
		text  string
	}{
		{report.New, "will be in conflict with what the new image changed"},
		{report.Dropped, "will be lost: the new image does not keep it"},
	} {
		for _, p := range some.paths[:min(len(some.paths), shownWarnings)] {
			warning(human.Name(p) + " " + some.text)
		}
		if more := len(some.paths) - shownWarnings; more > 0 {
			warning(fmt.Sprintf("%s more %s", count(more, "setting"), some.text))
		}
	}
	if force {
		return nil
	}
	return refusal(report)
}

// shownWarnings is how many settings of a kind an update warns of by name.
const shownWarnings = 10

// tellGeneration tells the hooks of a machine with slots that a generation was made.
func tellGeneration(ctx context.Context, env *Env, o *settingsOptions, number int) {
	if o.store != "" {
		return // another machine's
	}
	m := machineOptions{sysroot: o.sysroot}
	d, err := m.open()
	if err == nil {
		err = d.TellSettings(ctx, number)
	}
	if err == nil {
		err = d.RefreshNotice(ctx)
	}
	if err != nil && !errors.Is(err, config.ErrNone) {
		warn(env.Stderr, err.Error())
	}
}

// tellLast tells the hooks of the generation that the last boot made.
func tellLast(ctx context.Context, d *device.Device) error {
	store, err := settings.OpenReadOnly(settingsOf(d).folders().Store)
	if err != nil {
		return nil // told by status
	}
	numbers, err := store.Generations()
	if err = errors.Join(err, store.Close()); err != nil || len(numbers) == 0 {
		return nil
	}
	return d.TellSettings(ctx, slices.Max(numbers))
}

// leastSpace is what should be free for settings.
const leastSpace = 2 * settings.MaxFile

// settingsFindings looks at what settings rest on.
func settingsFindings(ctx context.Context, d *device.Device) (found loader.Findings) {
	o := settingsOf(d)
	dir := o.folders().Store
	for _, line := range bootFailures(o.sysroot) {
		found.Wrong("deltaup settings status; what was changed before lies aside in "+dir,
			"settings could not be laid at this boot: %s", line)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return found // this machine keeps none
	}
	if mode := info.Mode(); !mode.IsDir() || mode.Perm()&0o077 != 0 {
		found.Wrong("chmod 0700 "+dir, "%s has secrets, and mode %v", dir, mode)
	}
	settingsSpace(&found, dir)
	store, err := settings.OpenReadOnly(dir)
	if err != nil {
		found.Unknown("run deltaup doctor as root", "settings: %v", err)
		return found
	}
	defer store.Close() // only read
	numbers, err := store.Generations()
	if err != nil {
		found.Wrong("", "settings: %v", err)
	}
	damaged := 0
	for _, n := range numbers {
		if _, err := store.Generation(n); err != nil {
			damaged++
			found.Wrong("the medium is in doubt; deltaup settings restore of another one makes a new one",
				"settings: %v", err)
		}
	}
	settingsRules(ctx, &found, o)
	if damaged == 0 {
		found.Good("settings: %s in %s", count(len(numbers), "generation"), dir)
	}
	return found
}

// settingsRules tells of rules that do not count, and of a machine that did not lay what it has.
func settingsRules(ctx context.Context, found *loader.Findings, o *settingsOptions) {
	err := o.withRunning(ctx, false, func(r *settings.Running) error {
		for _, w := range r.Image.List().Warnings() {
			found.Unknown("tell the publisher of the image", "settings: %s:%d does not count: %s",
				filepath.Join("/", w.File), w.Line, w.Text)
		}
		return nil
	})
	if err != nil {
		found.Unknown("deltaup settings status", "settings: %v", err)
	}
}

// settingsSpace looks whether the store can grow.
func settingsSpace(found *loader.Findings, dir string) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		found.Unknown("", "settings: %s: %v", dir, err)
		return
	}
	if free := int64(s.Bavail) * int64(s.Bsize); free < leastSpace {
		found.Unknown("free some space: a boot that cannot lay settings goes on with the image's defaults",
			"settings: %s are free on the data partition", human.Size(free))
	}
}
