package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"

	"deltaup/chunkstore"
	"deltaup/internal/command"
	"deltaup/internal/human"
	"deltaup/internal/plainfile"
	"deltaup/settings"
)

func newSettingsStatusCommand(env *Env) *command.Command {
	var all, asJSON bool
	cmd := newSettingsSubcommand(
		"status",
		"Say which settings are kept, and what the next boot undoes",
		`Status compares what lies above the image now with the generation that the
machine runs with: which settings changed since, which are in conflict with the
image, and what was changed and is not kept. The next boot undoes that. It also
says what came back with an image that had run before.

With --all it also names what did not change since, and looks at the whole root,
not only at the folders whose changes are recorded. It changes nothing.`,
		command.Exactly(0),
		func(ctx context.Context, o *settingsOptions, _ []string) error {
			r, err := o.open(ctx, false)
			if err != nil {
				for _, line := range bootFailures(o.sysroot) {
					warn(env.Stderr, "failed at this boot: "+line)
				}
				return err
			}
			return errors.Join(settingsStatus(ctx, env, o, r, all, asJSON), r.Close())
		},
	)
	f := cmd.Flags()
	f.BoolVar(&all, "all", false, "name all, and look at the whole root")
	f.BoolVar(&asJSON, "json", false, "print one JSON object; its fields are in doc/settings.md")
	return cmd
}

func settingsStatus(ctx context.Context, env *Env, o *settingsOptions, r *settings.Running, all, asJSON bool) error {
	s, err := r.Status()
	if err != nil {
		return err
	}
	failed := bootFailures(o.sysroot)
	if r.Damage != nil && asJSON {
		failed = append(failed, r.Damage.Error())
	}
	var root []settings.Difference
	if all {
		if root, err = rootDifferences(ctx, o, r); err != nil {
			return err
		}
	}
	if asJSON {
		out := jsonOfStatus(r, s)
		out.Failed = failed
		if all {
			out.Root = jsonOfDifferences(root)
		}
		return printJSON(env.Stdout, out)
	}
	w := env.Stdout
	for _, line := range failed {
		printf(w, "failed at this boot: %s\n", line)
	}
	printLaid(w, r)
	printReturned(w, s.Returned)
	printf(w, "kept: %s unchanged, %d changed since\n", count(len(s.Unchanged), "setting"), len(s.Changed))
	if all {
		for _, p := range s.Unchanged {
			printf(w, "    %-8s %s\n", "kept", human.Name(p))
		}
	}
	for _, d := range s.Changed {
		printf(w, "    %-8s %s\n", d.What, human.Name(d.Path))
	}
	printConflicts(w, s.Conflicts)
	if len(s.NotKept) > 0 {
		printf(w, "changed, and not kept: %s, undone by the next boot\n", count(len(s.NotKept), "path"))
		for _, l := range s.NotKept {
			printf(w, "    %-8s %s\n", l.What, human.Name(l.Path))
		}
	}
	if all {
		printRoot(w, r, root)
	}
	return nil
}

func printLaid(w io.Writer, r *settings.Running) {
	if r.Damage != nil {
		printf(w, "running with a generation that cannot be read any more: %v\n", r.Damage)
		return
	}
	if r.Laid == nil {
		printf(w, "running with the defaults of image %s\n", shortID(r.View.Image))
		return
	}
	g := r.Laid
	printf(w, "running with generation %d of image %s, made at %s by %s\n", g.Number, shortID(g.Image),
		g.Time.Format(time.DateTime), g.Cause)
}

func printReturned(w io.Writer, b *settings.Returned) {
	if b == nil {
		return
	}
	printf(w, "image %s ran in between, with generation %d; ", shortID(b.Image), b.Generation)
	if len(b.Paths) == 0 {
		printf(w, "its settings were the same\n")
		return
	}
	printf(w, "%s came back with this image\n", count(len(b.Paths), "setting"))
	for _, p := range b.Paths {
		printf(w, "    %s\n", human.Name(p))
	}
}

func printConflicts(w io.Writer, all []settings.Conflict) {
	if len(all) == 0 {
		return
	}
	printf(w, "in conflict with the image: %s; deltaup settings conflicts shows, resolve ends them\n",
		count(len(all), "setting"))
	for i := range all {
		printf(w, "    %s, %s\n", human.Name(all[i].Path()), takenText(all[i].Taken))
	}
}

// takenText says which version of a setting in conflict counts.
func takenText(taken string) string {
	switch taken {
	case settings.TakenImage:
		return "the image's version counts"
	case settings.TakenMerged:
		return "put together"
	}
	return "the machine's version counts"
}

// printRoot prints what differs from the image and is no setting.
func printRoot(w io.Writer, r *settings.Running, root []settings.Difference) {
	var others []settings.Difference
	for _, d := range root {
		if _, kept := r.View.List.Keep(d.Path); !kept {
			others = append(others, d)
		}
	}
	printf(w, "the whole root: %s not as in the image, and not kept\n", count(len(others), "path"))
	for _, d := range others {
		printf(w, "    %-8s %s\n", d.What, human.Name(d.Path))
	}
}

// shortID is enough of an image's fingerprint to tell it from others.
func shortID(id chunkstore.ID) string { return id.String()[:12] }

// rootDifferences compares the whole root with the image.
func rootDifferences(ctx context.Context, o *settingsOptions, r *settings.Running) ([]settings.Difference, error) {
	upper, err := upperFolder(o.sysroot)
	if err != nil {
		return nil, err
	}
	return r.Everything(ctx, upper)
}

// upperFolder is the upper folder of the overlay that is mounted there; "" when none is.
func upperFolder(root string) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(root))
	if err != nil || len(mounts) == 0 {
		return "", err
	}
	top := mounts[len(mounts)-1]
	if top.FSType != "overlay" {
		return "", nil
	}
	for option := range strings.SplitSeq(top.VFSOptions, ",") {
		if upper, ok := strings.CutPrefix(option, "upperdir="); ok {
			return upper, nil
		}
	}
	return "", fmt.Errorf("%s: the overlay names no upper folder: %w", root, fs.ErrNotExist)
}

const (
	maxFailed      = 16 << 10 // bytes
	maxFailedLines = 20
)

// bootFailures are the lines of what went wrong with settings at this boot.
func bootFailures(root string) []string {
	b, err := plainfile.Read(filepath.Join(root, settingsFailed), maxFailed)
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[:min(len(lines), maxFailedLines)]
}
