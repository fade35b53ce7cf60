package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"deltaup/internal/command"
	"deltaup/settings"
)

func newSettingsPruneCommand(env *Env) *command.Command {
	p := settings.DefaultPolicy
	var age string
	var asJSON bool
	cmd := newSettingsSubcommand(
		"prune",
		"Remove old generations",
		`Prune removes generations that are neither among the last ones nor young, and what
only they need. The generation that the machine runs with stays, and so does the
last one of each image that ran lately: a slot may hold that image. Each boot
prunes with the defaults of these flags.`,
		command.Exactly(0),
		func(ctx context.Context, o *settingsOptions, _ []string) error {
			var err error
			if age != "" {
				if p.Age, err = parseDays("--age", age); err != nil {
					return &usageError{err}
				}
			}
			if p.Number < 0 {
				return &usageError{errors.New("--keep: want a number of generations")}
			}
			removed, err := pruneSettings(ctx, o, p)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(env.Stdout, struct {
					Removed []int `json:"removed"`
				}{append([]int{}, removed...)})
			}
			return printPruned(env.Stdout, removed)
		},
	)
	f := cmd.Flags()
	f.IntVar(&p.Number, "keep", p.Number, "keep the last `N` generations")
	f.StringVar(&age, "age", "", "keep those that are younger than `AGE`, as 30d or 12h (default: 90d)")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func printPruned(w io.Writer, removed []int) error {
	if len(removed) == 0 {
		return printf(w, "nothing to remove\n")
	}
	return printf(w, "removed %s, from %d to %d\n", count(len(removed), "generation"), removed[0], removed[len(removed)-1])
}

func pruneSettings(ctx context.Context, o *settingsOptions, p settings.Policy) ([]int, error) {
	if err := o.hasStore(); err != nil {
		return nil, err
	}
	store, err := settings.Open(o.folders().Store)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, settingsWait)
	defer cancel()
	unlock, err := store.Lock(limited)
	if err != nil {
		if limited.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("%s: %w", o.folders().Store, errSettingsBusy)
		}
		return nil, errors.Join(err, store.Close())
	}
	removed, err := store.Prune(ctx, time.Now(), p)
	unlock()
	return removed, errors.Join(err, store.Close())
}
