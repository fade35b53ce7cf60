package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"deltaup/internal/command"
	"deltaup/settings"
)

// settingsDiff is the flags and arguments of the command.
type settingsDiff struct {
	image   bool
	secrets bool
	names   bool
	color   string
}

func newSettingsDiffCommand(env *Env) *command.Command {
	var d settingsDiff
	cmd := newSettingsSubcommand(
		"diff [GENERATION [GENERATION]] [PATH...]",
		"Show how settings differ: two generations, a generation and now, the image and now",
		`Diff shows the lines that differ, in the form of diff -u: from the generation that
the machine runs with to what there is now, from GENERATION to now, or from one
GENERATION to the other. The word image stands for the image without settings.
With --image it shows the whole difference of the machine from its image, also
what is not kept. With PATH it shows that file, or what is below that folder.

On a terminal lines have colours, and changed words are marked; NO_COLOR, or
--color never, takes that away. Mode, owner, attributes, links, folders and
files that are no text are told in a line.`,
		nil,
		func(ctx context.Context, o *settingsOptions, args []string) error {
			return d.run(ctx, env, o, args)
		},
	)
	f := cmd.Flags()
	f.BoolVar(&d.image, "image", false, "show the whole difference of the machine from its image")
	f.BoolVar(&d.names, "names", false, "print only the names of what differs")
	f.BoolVar(&d.secrets, "secrets", false, "show also what the list marks secret")
	addColorFlag(f, &d.color)
	return cmd
}

func (d *settingsDiff) run(ctx context.Context, env *Env, o *settingsOptions, args []string) error {
	var numbers []int
	for len(args) > 0 && len(numbers) < 2 && !strings.Contains(args[0], "/") {
		n, err := generationNumber(args[0])
		if err != nil {
			return err
		}
		numbers, args = append(numbers, n), args[1:]
	}
	if d.image && len(numbers) > 0 {
		return &usageError{errors.New("--image compares with the machine as it is now: it takes no GENERATION")}
	}
	paths, err := settingPaths(args)
	if err != nil {
		return err
	}
	p, err := newDiffPrinter(env, d.color)
	if err != nil {
		return err
	}
	p.names = d.names
	return o.withRunning(ctx, false, func(r *settings.Running) error {
		if !d.secrets {
			p.secret = secretNow(r)
		}
		if d.image {
			return d.everything(ctx, p, o, r, settings.Match(paths))
		}
		return p.between(r, numbers, settings.Match(paths))
	})
}

// secretNow tells which paths the machine's list marks secret.
func secretNow(r *settings.Running) func(string) bool {
	return func(path string) bool {
		o, ok := r.View.List.Keep(path)
		return ok && o.Secret
	}
}

// between shows the difference of two generations, or of one and now.
func (p *diffPrinter) between(r *settings.Running, numbers []int, match func(string) bool) error {
	from := 0
	if r.Laid != nil {
		from = r.Laid.Number
	}
	if len(numbers) > 0 {
		from = numbers[0]
	}
	before, err := r.Generation(from)
	if err != nil {
		return err
	}
	after, name := r.Now(), "now"
	if len(numbers) == 2 {
		if after, err = r.Generation(numbers[1]); err != nil {
			return err
		}
		name = sideName(numbers[1])
	}
	for _, n := range append(numbers, from) {
		if err := p.hide(r, n); err != nil {
			return err
		}
	}
	all, err := settings.Compare(before, after, match)
	if err != nil {
		return err
	}
	for i := range all {
		err := p.print(&all[i], shown{sideName(from), before.Open}, shown{name, after.Open})
		if err != nil {
			return err
		}
	}
	return nil
}

// hide keeps also that from being shown which a generation's own list marks secret.
func (p *diffPrinter) hide(r *settings.Running, number int) error {
	if number == 0 || p.secret == nil {
		return nil
	}
	g, err := r.Store.Generation(number)
	if err != nil {
		return err
	}
	own, others := r.Store.Secrets(g, r.View.List), p.secret
	p.secret = func(path string) bool { return own(path) || others(path) }
	return nil
}

func sideName(number int) string {
	if number == 0 {
		return "image"
	}
	return fmt.Sprintf("generation %d", number)
}

// everything shows the difference of the whole root from its image.
func (d *settingsDiff) everything(ctx context.Context, p *diffPrinter, o *settingsOptions, r *settings.Running,
	match func(string) bool) error {
	all, err := rootDifferences(ctx, o, r)
	if err != nil {
		return err
	}
	now := func(e *settings.Entry) (io.ReadCloser, error) { return r.OpenNow(e.Path) }
	for i := range all {
		if !match(all[i].Path) {
			continue
		}
		err := p.print(&all[i], shown{"image", r.Shipped().Open}, shown{"now", now})
		if errors.Is(err, os.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return err
		}
	}
	return nil
}
