package main

import (
	"context"
	"errors"
	"fmt"

	"deltaup/internal/command"
	"deltaup/internal/human"
	"deltaup/settings"
)

// errSettingsRefused is what stops an activation: the list says merge=refuse of a setting that both
// the machine and the new image have changed.
var errSettingsRefused = errors.New("settings do not go with the image")

func newSettingsCheckCommand(env *Env) *command.Command {
	var mirror string
	var asJSON bool
	cmd := newSettingsSubcommand(
		"check IMAGE",
		"Say what would become of a machine's settings under another image",
		`Check merges the settings of this machine, or of the copy of a store that --store
names, with an image, and writes nothing: what the merge would change, what would
be in conflict, and what the image keeps no more. The exit code is 19 when a rule
with merge=refuse stops the image from being activated.`,
		command.Exactly(1),
		func(ctx context.Context, o *settingsOptions, args []string) error {
			image := args[0]
			if mirror != "" {
				var err error
				if image, err = imageOnMirror(ctx, mirror, image); err != nil {
					return err
				}
			}
			store, _, err := o.openStore()
			if err != nil {
				return err
			}
			defer store.Close() // only read
			report, err := drySettings(ctx, store, image)
			if err != nil {
				return err
			}
			if asJSON {
				return printReport(env.Stdout, jsonOfDry(report), refusal(report))
			}
			printDry(env, report)
			return refusal(report)
		},
	)
	f := cmd.Flags()
	addMirrorFlag(f, &mirror)
	f.BoolVar(&asJSON, "json", false, "print one JSON object; its fields are in doc/settings.md")
	return cmd
}

// drySettings says what a boot of an image would do with the settings of a store.
func drySettings(ctx context.Context, store *settings.Store, image string) (*settings.Report, error) {
	m, err := openImage(image)
	if err != nil {
		return nil, err
	}
	defer m.Close() // only read
	source, err := settings.FromImage(m.Image)
	if err != nil {
		return nil, err
	}
	report, err := settings.Dry(ctx, store, source)
	if err = errors.Join(err, source.Close()); err != nil {
		return nil, err
	}
	return report, report.Failure
}

// refusal is the error of settings that keep an image from being activated.
func refusal(r *settings.Report) error {
	if len(r.Refused) == 0 {
		return nil
	}
	more := ""
	if n := len(r.Refused) - 1; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("%s%s: %w", human.Name(r.Refused[0]), more, errSettingsRefused)
}

type dryJSON struct {
	Image      string       `json:"image"`
	RolledBack bool         `json:"rolled_back"`
	Kept       int          `json:"kept"`
	Conflicts  []string     `json:"conflicts"`
	Refused    []string     `json:"refused"`
	Dropped    []string     `json:"dropped"`
	NotKept    []changeJSON `json:"not_kept"`
	Warnings   []string     `json:"warnings"`
}

func jsonOfDry(r *settings.Report) dryJSON {
	some := func(s []string) []string { return append([]string{}, s...) }
	return dryJSON{r.Image.String(), r.RolledBack, len(r.Changes), some(r.New), some(r.Refused),
		some(r.Dropped), jsonOfLost(r.NotKept), some(r.Warnings)}
}

func printDry(env *Env, r *settings.Report) {
	w := env.Stdout
	printf(w, "image %s: %s kept\n", shortID(r.Image), count(len(r.Changes), "setting"))
	if r.RolledBack {
		printf(w, "the image ran before: it has the settings again that it had then\n")
	}
	for _, some := range []struct {
		title string
		paths []string
	}{
		{"in conflict with what the image changed", r.New},
		{"refused by the list: the image would not be activated", r.Refused},
		{"kept until now, and not by this image", r.Dropped},
	} {
		if len(some.paths) == 0 {
			continue
		}
		printf(w, "%s: %s\n", some.title, count(len(some.paths), "setting"))
		for _, p := range some.paths {
			printf(w, "    %s\n", human.Name(p))
		}
	}
	if len(r.NotKept) > 0 {
		printf(w, "changed, and not kept: %s\n", count(len(r.NotKept), "path"))
	}
	for _, text := range r.Warnings {
		printf(w, "%s\n", text)
	}
}
