package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"deltaup/internal/command"
	"deltaup/internal/human"
	"deltaup/settings"
)

func newSettingsSaveCommand(env *Env) *command.Command {
	var message string
	var asJSON bool
	cmd := newSettingsSubcommand(
		"save",
		"Make a generation of the settings as they are now",
		`Nothing has to be saved: a changed file is durable when its writer says so, and each
boot makes a generation of what changed. Save makes one now, as a point to come
back to, and for the log. The exit code is 0 also when nothing has changed.`,
		command.Exactly(0),
		func(ctx context.Context, o *settingsOptions, _ []string) error {
			var made *settings.Generation
			err := o.withRunning(ctx, true, func(r *settings.Running) (err error) {
				made, err = r.Save(ctx, message)
				return err
			})
			if errors.Is(err, settings.ErrUnchanged) {
				if asJSON {
					return printJSON(env.Stdout, struct {
						Generation *generationJSON `json:"generation"`
					}{})
				}
				printf(env.Stdout, "nothing has changed\n")
				return nil
			}
			if err != nil {
				return err
			}
			tellGeneration(ctx, env, o, made.Number)
			if asJSON {
				return printJSON(env.Stdout, struct {
					Generation *generationJSON `json:"generation"`
				}{jsonOfGeneration(made)})
			}
			printf(env.Stdout, "generation %d: %s\n", made.Number, count(len(made.Entries), "setting"))
			return nil
		},
	)
	f := cmd.Flags()
	f.StringVarP(&message, "message", "m", "", "`TEXT` for the log, one line")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func newSettingsRestoreCommand(env *Env) *command.Command {
	var asJSON bool
	cmd := newSettingsSubcommand(
		"restore GENERATION [PATH...]",
		"Bring settings back to what a generation had",
		`Restore writes settings as GENERATION had them: all, or with PATH that file, or what
is below that folder. The word image stands for the image's own. Each file is
replaced whole and is durable when restore ends. What had not been saved is saved
before, so that undo leads back.

What the list calls newest, such as passwords and host keys, stays as it is unless
PATH names it; a folder above it does not. Restore says which files it has changed;
programs that have read them are not told.`,
		func(c *command.Command, args []string) error {
			if len(args) == 0 {
				return command.Between(1, 2)(c, args)
			}
			return nil
		},
		func(ctx context.Context, o *settingsOptions, args []string) error {
			number, err := generationNumber(args[0])
			if err != nil {
				return err
			}
			paths, err := settingPaths(args[1:])
			if err != nil {
				return err
			}
			return changeSettings(ctx, env, o, asJSON, func(r *settings.Running) (*settings.Result, error) {
				return r.Restore(ctx, number, paths)
			})
		},
	)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func newSettingsUndoCommand(env *Env) *command.Command {
	var asJSON bool
	cmd := newSettingsSubcommand(
		"undo [STEPS]",
		"Go back to the generation before, or some steps",
		`Undo is restore of the generation before the one that the machine runs with. What
had not been saved counts as a step, and is saved. Undo after undo goes back
further. It deletes nothing: restore of a later generation brings that back.`,
		command.AtMost(1),
		func(ctx context.Context, o *settingsOptions, args []string) error {
			steps := 1
			if len(args) == 1 {
				n, err := strconv.ParseUint(args[0], 10, 16)
				if err != nil || n == 0 {
					return &usageError{fmt.Errorf("%s: want a number of steps", args[0])}
				}
				steps = int(n)
			}
			return changeSettings(ctx, env, o, asJSON, func(r *settings.Running) (*settings.Result, error) {
				return r.Undo(ctx, steps)
			})
		},
	)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// outcomeJSON is what restore, undo and resolve print with --json.
type outcomeJSON struct {
	Saved      int      `json:"saved,omitempty"`
	Generation int      `json:"generation,omitempty"`
	Changed    []string `json:"changed"`
	Kept       []string `json:"kept,omitempty"`
}

// changeSettings runs what changes settings, and says what it did.
func changeSettings(ctx context.Context, env *Env, o *settingsOptions, asJSON bool,
	change func(*settings.Running) (*settings.Result, error)) error {
	var done *settings.Result
	err := o.withRunning(ctx, true, func(r *settings.Running) (err error) {
		done, err = change(r)
		return err
	})
	if done != nil {
		if made := max(done.Saved, done.Made); made > 0 {
			tellGeneration(ctx, env, o, made)
		}
	}
	if err != nil {
		return err
	}
	if asJSON {
		changed := append([]string{}, done.Changed...)
		return printJSON(env.Stdout, outcomeJSON{done.Saved, done.Made, changed, done.Kept})
	}
	w := env.Stdout
	if done.Saved > 0 {
		printf(w, "generation %d: what had not been saved\n", done.Saved)
	}
	for _, p := range done.Changed {
		printf(w, "    %s\n", human.Name(p))
	}
	for _, p := range done.Kept {
		printf(w, "    %s stays: the list calls it newest\n", human.Name(p))
	}
	if done.Made == 0 {
		printf(w, "nothing has changed\n")
		return nil
	}
	printf(w, "generation %d: %s\n", done.Made, count(len(done.Changed), "path")+" changed")
	return nil
}
