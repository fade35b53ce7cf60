package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"

	"deltaup/internal/command"
	"deltaup/settings"
	"deltaup/settings/list"
)

func newSettingsListCommand(env *Env) *command.Command {
	var image string
	var asJSON bool
	cmd := newSettingsSubcommand(
		"list",
		"Print the rules of what is kept, and what each covers",
		`List prints the rules that the image has for settings, in the order in which they
count, with the number of paths of the image that each covers and of those that
the machine has changed. Rules and options that do not count are told with file,
line and column.

With --image FILE it prints the rules of that image.`,
		command.Exactly(0),
		func(ctx context.Context, o *settingsOptions, _ []string) error {
			if image != "" {
				return listOfImage(env, image, asJSON)
			}
			return o.withRunning(ctx, false, func(r *settings.Running) error {
				return printRules(env, r.Image, r.View.Entries, asJSON)
			})
		},
	)
	f := cmd.Flags()
	f.StringVar(&image, "image", "", "a squashfs image, in `FILE`")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func listOfImage(env *Env, file string, asJSON bool) error {
	m, err := openImage(file)
	if err != nil {
		return err
	}
	defer m.Close() // only read
	source, err := settings.FromImage(m.Image)
	if err != nil {
		return err
	}
	return errors.Join(printRules(env, source, nil, asJSON), source.Close())
}

// rule is a line of a list with what it covers.
type rule struct {
	Text    string `json:"rule"`
	Shipped int    `json:"in_image"` // paths of the image
	Changed int    `json:"changed"`  // of those that differ from the image

	covers func(path string) bool // nil: it keeps nothing
}

type warningJSON struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Text string `json:"text"`
}

func printRules(env *Env, source *settings.Source, changed []settings.Entry, asJSON bool) error {
	rules, err := coverage(source, changed)
	if err != nil {
		return err
	}
	warnings := []warningJSON{}
	for _, w := range source.List().Warnings() {
		warnings = append(warnings, warningJSON{w.File, w.Line, w.Text})
	}
	if asJSON {
		return printJSON(env.Stdout, struct {
			Rules    []rule        `json:"rules"`
			Warnings []warningJSON `json:"warnings"`
		}{rules, warnings})
	}
	for _, r := range rules {
		if r.covers == nil {
			printf(env.Stdout, "%s\n", r.Text)
			continue
		}
		printf(env.Stdout, "%s  (%d in the image, %d changed)\n", r.Text, r.Shipped, r.Changed)
	}
	for _, w := range source.List().Warnings() {
		printf(env.Stdout, "%s\n", w)
	}
	if len(rules) == 0 {
		printf(env.Stdout, "the image keeps nothing: it has no rule that counts\n")
	}
	return nil
}

// coverage counts for each rule what it covers, were it the only one, and is kept at the end.
func coverage(source *settings.Source, changed []settings.Entry) ([]rule, error) {
	all := source.List()
	rules := []rule{}
	for line := range bytes.Lines(all.Text()) {
		text := strings.TrimSpace(string(line))
		if text == "" {
			continue
		}
		r := rule{Text: text}
		if strings.HasPrefix(text, "keep ") {
			own, err := list.Parse(line)
			if err != nil {
				return nil, err
			}
			r.covers = func(p string) bool { _, ok := own.Keep(p); return ok }
		}
		rules = append(rules, r)
	}
	tally := func(p string, add func(*rule)) {
		if _, kept := all.Keep(p); !kept {
			return
		}
		for i := range rules {
			if r := &rules[i]; r.covers != nil && r.covers(p) {
				add(r)
			}
		}
	}
	for i := range changed {
		tally(changed[i].Path, func(r *rule) { r.Changed++ })
	}
	for _, place := range all.Places() {
		err := fs.WalkDir(source.FS(), strings.TrimPrefix(place, "/"), func(name string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			full := path.Join("/", name)
			tally(full, func(r *rule) { r.Shipped++ })
			if e.IsDir() && full != place && !all.Below(full) {
				return fs.SkipDir
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return rules, nil
}
