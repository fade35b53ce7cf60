package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"deltaup/internal/command"
	"deltaup/internal/human"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
	"deltaup/settings"
	"deltaup/settings/mounts"
)

const (
	// mountTime is what a boot waits for its settings.
	mountTime = 30 * time.Second
	// mountGrace is what is left then to mount the image's defaults.
	mountGrace = 5 * time.Second
)

var errMountLate = fmt.Errorf("it took longer than %v", mountTime)

type mountOptions struct{ root, image, device, data, run string }

func newSettingsMountCommand(env *Env) *command.Command {
	var o mountOptions
	cmd := &command.Command{
		Use:   "mount",
		Short: "Show settings and folders of data in a root that is about to be started",
		Long: `Mount is called by the initramfs, with the program of the image that boots. It
commits what was changed until now as a generation, merges it with the image's
defaults, mounts an overlay on /etc and each other place of the list, and binds
the folders of data.

The boot is to go on whatever mount says. With an exit code other than 0
something is missing: it is told in settings.failed of --run, and mounted is
what could be had, the image's defaults at least. It takes 35 seconds at most.`,
		Args: command.Exactly(0),
		Run:  func(ctx context.Context, _ []string) error { return mountSettings(ctx, env, &o) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.root, "root", "", "`DIR` where the new root is mounted")
	f.StringVar(&o.image, "image", "/run/deltaup/image", "`DIR` where its image is mounted")
	f.StringVar(&o.device, "device", "", "`DEVICE` that the image is on")
	f.StringVar(&o.data, "data", "/run/deltaup/data", "`DIR` where the data partition is mounted")
	f.StringVar(&o.run, "run", "/run/deltaup", "`DIR` in memory for settings.failed")
	return cmd
}

// maxMountWarnings is how many warnings a boot prints: a console on a serial line is slow.
const maxMountWarnings = 30

// maxMountFailure bounds the bytes of what is told of one failure: names of a stranger's are in it.
const maxMountFailure = 1000

// mountFailures are all that went wrong in a boot, in one line.
type mountFailures []error

func (f mountFailures) Error() string {
	var texts []string
	for _, err := range f {
		texts = append(texts, human.Line(strings.ReplaceAll(err.Error(), "\n", ", "), maxMountFailure))
	}
	return strings.Join(texts, "; ")
}

func (f mountFailures) Unwrap() []error { return f }

// tell writes what went wrong where settings status finds it, a line each.
func (f mountFailures) tell(run string) error {
	text := strings.ReplaceAll(f.Error(), "; ", "\n") + "\n"
	return os.WriteFile(filepath.Join(run, "settings.failed"), []byte(text), 0o644)
}

func mountSettings(ctx context.Context, env *Env, o *mountOptions) (err error) {
	if o.root == "" || o.device == "" {
		return &usageError{errors.New("settings mount needs --root and --device")}
	}
	// Some waits see no context: for a disk that does not answer.
	late := time.AfterFunc(mountTime+mountGrace, func() {
		_ = mountFailures{errMountLate}.tell(o.run)
		printf(env.Stderr, "deltaup: %v\n", errMountLate)
		os.Exit(exitFailure)
	})
	defer late.Stop()
	ctx, cancel := context.WithTimeoutCause(ctx, mountTime, errMountLate)
	defer cancel()
	m, err := mounts.Open(o.root, o.image, o.data, o.run)
	if err != nil {
		return err
	}
	defer m.Close() // what is mounted stays
	var failed mountFailures
	source, err := mountSource(o)
	if err == nil {
		defer source.Close() // only read
		failed = append(mountPlaces(ctx, env, m, source, o.run), mountFolders(ctx, m, source)...)
	} else {
		failed = mountFailures{err}
	}
	if err := m.Clean(ctx); err != nil {
		printf(env.Stdout, "%v\n", err)
	}
	if len(failed) == 0 {
		return nil
	}
	return errors.Join(failed, failed.tell(o.run))
}

func mountSource(o *mountOptions) (*settings.Source, error) {
	image, err := squashfs.OpenFile(o.device)
	if err != nil {
		return nil, err
	}
	fingerprint, err := mkimage.Fingerprint(image.Image)
	if err = errors.Join(err, image.Close()); err != nil {
		return nil, err
	}
	return settings.FromFolder(o.image, fingerprint)
}

// mountFolders binds the folders of data. They come last: one may lie below a place.
func mountFolders(ctx context.Context, m *mounts.Mounter, source *settings.Source) (failed mountFailures) {
	for _, name := range source.List().Data() {
		if err := m.Folder(ctx, name); err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// mountPlaces lays the settings, and mounts them. Somebody else may have written the store: what
// even crashes on it does not take the folders of data away. run is a folder in memory.
func mountPlaces(ctx context.Context, env *Env, m *mounts.Mounter, source *settings.Source, run string) (failed mountFailures) {
	defer func() {
		if crash := recover(); crash != nil {
			failed = append(failed, fmt.Errorf("crash: %v", crash))
		}
	}()
	start := time.Now()
	dir, err := m.Store()
	if err != nil {
		return mountFailures{err}
	}
	defer dir.Close() // only opened
	report, err := bootSettings(ctx, dir, source, filepath.Join(run, "settings"))
	if err != nil {
		return mountFailures{err}
	}
	defer report.Close() // only opened
	if report.Failure != nil {
		failed = append(failed, report.Failure)
	} else if report.Lost != "" {
		failed = append(failed, fmt.Errorf("what was changed since the last generation lies aside, in %s", report.Lost))
	}
	for _, p := range report.Places {
		if err := m.Overlay(p.Path, p.Upper, p.Work); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", p.Path, err))
		}
	}
	printBoot(env, report, time.Since(start))
	return failed
}

// bootSettings lays the settings. What the store does not take is laid in spare, a folder in memory.
func bootSettings(ctx context.Context, dir *os.File, source *settings.Source, spare string) (*settings.Report, error) {
	// The folder has been opened without following anything, which its path would.
	store, err := settings.Open(fmt.Sprintf("/proc/self/fd/%d/.", dir.Fd()))
	if err != nil {
		return nil, err
	}
	defer store.Close() // what is to be durable is
	unlock, err := store.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := os.Mkdir(spare, 0o700); err == nil {
		store.Spare = spare
		defer os.Remove(spare) // unless it was needed
	}
	return settings.Boot(ctx, store, source)
}

// printBoot prints what somebody should know who reads the log of a boot, which took so long.
func printBoot(env *Env, r *settings.Report, took time.Duration) {
	what := "the image's defaults"
	if r.Generation != 0 {
		what = fmt.Sprintf("generation %d", r.Generation)
	}
	switch {
	case r.Merged && r.RolledBack:
		what += ", as this image had them, with the newest settings of now"
	case r.RolledBack:
		what += ", as this image had them"
	case r.Merged:
		what += ", merged for this image"
	}
	printf(env.Stdout, "settings: %s, in %.2f s\n", what, took.Seconds())
	for _, some := range []struct {
		n    int
		text string
	}{
		{len(r.New), "both the machine and the image have changed: settings conflicts lists them"},
		{len(r.Dropped), "this image does not keep any more"},
		{len(r.NotKept), "changed and not kept: as in the image again"},
	} {
		if some.n > 0 {
			printf(env.Stdout, "settings: %s %s\n", count(some.n, "path"), some.text)
		}
	}
	for i, warning := range r.Warnings {
		if i == maxMountWarnings {
			printf(env.Stdout, "settings: and %d more of this kind\n", len(r.Warnings)-i)
			break
		}
		printf(env.Stdout, "settings: %s\n", warning)
	}
}
