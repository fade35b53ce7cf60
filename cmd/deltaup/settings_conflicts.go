package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"deltaup/internal/command"
	"deltaup/internal/human"
	"deltaup/settings"
)

func newSettingsConflictsCommand(env *Env) *command.Command {
	var asJSON, secrets bool
	var color string
	cmd := newSettingsSubcommand(
		"conflicts [PATH...]",
		"Show what both the machine and an image have changed",
		`Conflicts lists the settings that the machine had changed and that a new image
changed as well, in another way. It says which version counts now. With PATH it
shows what each of the two changed, from the version that both began with, or how
they differ where that is not kept.

A conflict stays until deltaup settings resolve ends it.`,
		nil,
		func(ctx context.Context, o *settingsOptions, args []string) error {
			paths, err := settingPaths(args)
			if err != nil {
				return err
			}
			p, err := newDiffPrinter(env, color)
			if err != nil {
				return err
			}
			return o.withRunning(ctx, false, func(r *settings.Running) error {
				if !secrets {
					p.secret = secretNow(r)
				}
				s, err := r.Status()
				if err != nil {
					return err
				}
				found := matching(s.Conflicts, settings.Match(paths))
				if len(paths) > 0 && len(found) == 0 {
					return fmt.Errorf("%s %w", paths[0], settings.ErrNoConflict)
				}
				if asJSON {
					return printJSON(env.Stdout, jsonOfConflicts(found))
				}
				for i := range found {
					if err := showConflict(p, r, &found[i], len(paths) > 0); err != nil {
						return err
					}
				}
				return nil
			})
		},
	)
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print a JSON array of conflicts")
	f.BoolVar(&secrets, "secrets", false, "show also what the list marks secret")
	addColorFlag(f, &color)
	return cmd
}

func matching(all []settings.Conflict, match func(string) bool) []settings.Conflict {
	var found []settings.Conflict
	for _, c := range all {
		if match(c.Path()) {
			found = append(found, c)
		}
	}
	return found
}

func showConflict(p *diffPrinter, r *settings.Running, c *settings.Conflict, diffs bool) error {
	printf(p.w, "%s: %s\n", human.Name(c.Path()), takenText(c.Taken))
	for _, remark := range c.Remarks {
		printf(p.w, "    %s\n", human.Line(remark, len(remark)))
	}
	if !diffs {
		return nil
	}
	open := func(e *settings.Entry) (io.ReadCloser, error) { return r.Store.OpenObject(e.Content) }
	before, machine, image := shown{"before", open}, shown{"machine", open}, shown{"image", open}
	if c.Base.Kind == settings.File && !r.Store.Has(c.Base.Content) {
		// what both began with is kept for settings that are merged alone
		p.line(bold, "what the machine has, and the image:")
		return p.printBetween(&c.Local, &c.Image, machine, image)
	}
	p.line(bold, "what the machine changed:")
	if err := p.printBetween(&c.Base, &c.Local, before, machine); err != nil {
		return err
	}
	p.line(bold, "what the image changed:")
	return p.printBetween(&c.Base, &c.Image, before, image)
}

// printBetween prints the difference of two versions, if there is any.
func (p *diffPrinter) printBetween(a, b *settings.Entry, from, to shown) error {
	d := settings.Between(a, b)
	if d == nil {
		return nil
	}
	err := p.print(d, from, to)
	if errors.Is(err, settings.ErrNone) {
		p.line(plainText, "the content of one of them is not in the store")
		return nil
	}
	return err
}

func newSettingsResolveCommand(env *Env) *command.Command {
	var local, image, current, asJSON bool
	cmd := newSettingsSubcommand(
		"resolve PATH --local|--image|--current",
		"End a conflict with one of the versions",
		`Resolve puts the machine's version, or the image's, in its place and ends the
conflict. With --current what lies there now is right, such as a file that was
put together by hand.`,
		command.Exactly(1),
		func(ctx context.Context, o *settingsOptions, args []string) error {
			var versions []settings.Version
			for _, v := range []struct {
				is      bool
				version settings.Version
			}{{local, settings.LocalVersion}, {image, settings.ImageVersion}, {current, settings.CurrentVersion}} {
				if v.is {
					versions = append(versions, v.version)
				}
			}
			if len(versions) != 1 {
				return &usageError{errors.New("resolve takes one of --local, --image and --current")}
			}
			paths, err := settingPaths(args)
			if err != nil {
				return err
			}
			return changeSettings(ctx, env, o, asJSON, func(r *settings.Running) (*settings.Result, error) {
				return r.Resolve(ctx, paths[0], versions[0])
			})
		},
	)
	f := cmd.Flags()
	f.BoolVar(&local, "local", false, "the machine's version is right")
	f.BoolVar(&image, "image", false, "the image's version is right")
	f.BoolVar(&current, "current", false, "what lies there now is right")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
