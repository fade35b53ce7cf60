package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/spf13/pflag"

	"deltaup/chunkstore"
	"deltaup/internal/command"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
	"deltaup/settings"
	"deltaup/settings/list"
)

// Where settings are on a machine that runs.
const (
	settingsStore  = "/run/deltaup/data/deltaup/settings"
	settingsImage  = "/run/deltaup/image"
	settingsFailed = "/run/deltaup/settings.failed" // why the last boot did not lay them
)

// settingsWait is how long a command waits for another one that writes to the store.
const settingsWait = 30 * time.Second

func newSettingsCommand(env *Env) *command.Command {
	cmd := &command.Command{
		Use:   "settings",
		Short: "Look at, save and restore what this machine's owner changed",
	}
	cmd.Add(
		newSettingsStatusCommand(env),
		newSettingsLogCommand(env),
		newSettingsDiffCommand(env),
		newSettingsCatCommand(env),
		newSettingsSaveCommand(env),
		newSettingsRestoreCommand(env),
		newSettingsUndoCommand(env),
		newSettingsConflictsCommand(env),
		newSettingsResolveCommand(env),
		newSettingsListCommand(env),
		newSettingsCheckCommand(env),
		newSettingsExportCommand(env),
		newSettingsImportCommand(env),
		newSettingsPruneCommand(env),
		newSettingsMountCommand(env),
	)
	return cmd
}

// errNoSettings is what the machine lacks that keeps no settings.
var errNoSettings = errors.New("this machine keeps no settings")

// settingsOptions are the flags of all commands below settings.
type settingsOptions struct {
	sysroot string
	store   string
}

func (o *settingsOptions) addFlags(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVar(&o.sysroot, "sysroot", "/", "work on the machine whose root folder is `DIR`")
	f.StringVar(&o.store, "store", "",
		"`DIR` of the store (default: "+settingsStore+" of that machine)")
}

// folders are where the settings of the machine are.
func (o *settingsOptions) folders() settings.Folders {
	f := settings.Folders{
		Store: filepath.Join(o.sysroot, settingsStore),
		Image: filepath.Join(o.sysroot, settingsImage),
		Root:  o.sysroot,
	}
	if o.store != "" {
		f.Store = o.store
	}
	return f
}

// open reads the settings of the machine; with change nobody else writes to them until Close.
func (o *settingsOptions) open(ctx context.Context, change bool) (*settings.Running, error) {
	if err := o.hasStore(); err != nil {
		return nil, err
	}
	folders := o.folders()
	fingerprint, err := mountedImage(folders.Image)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, settingsWait)
	defer cancel()
	r, err := settings.OpenRunning(limited, folders, fingerprint, change)
	if err == nil {
		if err = inUse(o.sysroot, r.Image.List()); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", errNoSettings, err)
	case limited.Err() != nil && ctx.Err() == nil:
		return nil, fmt.Errorf("%s: %w", folders.Store, errSettingsBusy)
	}
	return r, err
}

// hasStore fails where there is no store, so that no command makes one, and for others than root.
func (o *settingsOptions) hasStore() error {
	s, err := settings.OpenReadOnly(o.folders().Store)
	switch {
	case err == nil:
		return s.Close()
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", errNoSettings, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("settings are for root alone: %w", err)
	}
	return err
}

// errNotInUse is what a machine ends with that has settings and boots without them: its files are
// the image's, and what is changed there is gone with the next boot.
var errNotInUse = errors.New("settings are not in use at this boot")

// inUse looks whether the places of a list are overlays.
func inUse(root string, l *list.List) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	for _, place := range l.Places() {
		at := filepath.Join(root, place)
		mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(at))
		if err != nil {
			return err
		}
		if len(mounts) == 0 || mounts[len(mounts)-1].FSType != "overlay" {
			return fmt.Errorf("%w: %s is no overlay", errNotInUse, at)
		}
	}
	return nil
}

var errSettingsBusy = errors.New("another program writes to the settings")

// openStore opens the store alone, for commands that need no machine: the store may be a copy. The
// list is that of the image which runs, nil when there is none.
func (o *settingsOptions) openStore() (*settings.Store, *list.List, error) {
	if err := o.hasStore(); err != nil {
		return nil, nil, err
	}
	folders := o.folders()
	s, err := settings.OpenReadOnly(folders.Store)
	if err != nil {
		return nil, nil, err
	}
	image, err := settings.FromFolder(folders.Image, chunkstore.ID{})
	if err != nil {
		return s, nil, nil // that of each generation counts
	}
	defer image.Close() // only read
	return s, image.List(), nil
}

// mountedImage gives the fingerprint of the image that is mounted there; the zero ID when none is:
// then that which was laid last is meant.
func mountedImage(folder string) (id chunkstore.ID, err error) {
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(filepath.Clean(folder)))
	if err != nil || len(mounts) == 0 || mounts[0].FSType != "squashfs" {
		return id, err
	}
	m, err := squashfs.OpenFile(mounts[0].Source)
	if err != nil {
		return id, err
	}
	id, err = mkimage.Fingerprint(m.Image)
	return id, errors.Join(err, m.Close())
}

// newSettingsSubcommand is a command with the flags of settingsOptions.
func newSettingsSubcommand(use, short, long string, args command.Args,
	run func(ctx context.Context, o *settingsOptions, args []string) error) *command.Command {
	var o settingsOptions
	cmd := &command.Command{
		Use: use, Short: short, Long: long, Args: args,
		Run: func(ctx context.Context, args []string) error { return run(ctx, &o, args) },
	}
	o.addFlags(cmd.Flags())
	return cmd
}

// withRunning runs f with the settings of the machine.
func (o *settingsOptions) withRunning(ctx context.Context, change bool, f func(*settings.Running) error) error {
	r, err := o.open(ctx, change)
	if err != nil {
		return err
	}
	return errors.Join(f(r), r.Close())
}

// settingPaths makes paths of a command line absolute: those of the machine's root.
func settingPaths(args []string) ([]string, error) {
	var paths []string
	for _, a := range args {
		if !filepath.IsAbs(a) {
			return nil, &usageError{fmt.Errorf("%s: want an absolute path, as /etc/hosts", a)}
		}
		paths = append(paths, filepath.Clean(a))
	}
	return paths, nil
}
