package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"deltaup/chunkstore"
	"deltaup/internal/command"
	"deltaup/internal/human"
	"deltaup/settings"
)

// shownChanges is how many paths of a generation log prints.
const shownChanges = 10

func newSettingsLogCommand(env *Env) *command.Command {
	var number int
	var asJSON bool
	cmd := newSettingsSubcommand(
		"log [PATH...]",
		"List the generations, the newest first",
		`Log prints each generation with its time, its cause and what it changed: which
paths were added, changed or deleted. With PATH it prints those that changed that
file, or something below that folder.`,
		nil,
		func(_ context.Context, o *settingsOptions, args []string) error {
			paths, err := settingPaths(args)
			if err != nil {
				return err
			}
			if number < 0 {
				return &usageError{fmt.Errorf("--number %d: want a number above 0", number)}
			}
			s, _, err := o.openStore()
			if err != nil {
				return err
			}
			defer s.Close() // only read
			if number == 0 {
				number = -1
			}
			steps, err := s.Log(paths, number)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(env.Stdout, jsonOfSteps(steps))
			}
			for i := range steps {
				printStep(env.Stdout, &steps[i])
			}
			return nil
		},
	)
	f := cmd.Flags()
	f.IntVarP(&number, "number", "n", 0, "print the last `N` generations (default: all)")
	f.BoolVar(&asJSON, "json", false, "print a JSON array of generations")
	return cmd
}

func printStep(w io.Writer, s *settings.Logged) {
	if s.Damage != nil {
		printf(w, "%d  %s\n", s.Number, strings.TrimPrefix(s.Damage.Error(), fmt.Sprintf("generation %d: ", s.Number)))
		return
	}
	printf(w, "%d  %s  %s  image %s", s.Number, s.Time.Format(time.DateTime), s.Cause, shortID(s.Image))
	if s.Message != "" {
		printf(w, "  %s", human.Line(s.Message, len(s.Message)))
	}
	printf(w, "\n")
	for _, d := range s.Changes[:min(len(s.Changes), shownChanges)] {
		printf(w, "    %-8s %s\n", d.What, human.Name(d.Path))
	}
	if more := len(s.Changes) - shownChanges; more > 0 {
		printf(w, "    and %s more\n", count(more, "path"))
	}
	if len(s.Conflicts) > 0 {
		printf(w, "    in conflict: %s\n", count(len(s.Conflicts), "setting"))
	}
}

type stepJSON struct {
	*generationJSON
	Changes   []changeJSON   `json:"changes"`
	Conflicts []conflictJSON `json:"conflicts"`
	Damage    string         `json:"damage,omitempty"`
}

func jsonOfSteps(steps []settings.Logged) []stepJSON {
	out := []stepJSON{}
	for i := range steps {
		s := &steps[i]
		j := stepJSON{jsonOfGeneration(s.Generation), jsonOfDifferences(s.Changes), jsonOfConflicts(s.Conflicts), ""}
		if s.Damage != nil {
			j.Damage = s.Damage.Error()
		}
		out = append(out, j)
	}
	return out
}

func newSettingsCatCommand(env *Env) *command.Command {
	var secrets bool
	cmd := newSettingsSubcommand(
		"cat GENERATION PATH",
		"Print a file as a generation had it",
		`Cat prints the bytes of a file that a generation keeps. With the word image it
prints the file of the image that runs. What another image had is not in the
store: deltaup cat prints that.`,
		command.Exactly(2),
		func(_ context.Context, o *settingsOptions, args []string) error {
			number, err := generationNumber(args[0])
			if err != nil {
				return err
			}
			paths, err := settingPaths(args[1:])
			if err != nil {
				return err
			}
			if number == 0 {
				return catShipped(env.Stdout, o, paths[0], secrets)
			}
			s, running, err := o.openStore()
			if err != nil {
				return err
			}
			defer s.Close() // only read
			g, err := s.Generation(number)
			if err != nil {
				return err
			}
			if s.Secrets(g, running)(paths[0]) && !secrets {
				return fmt.Errorf("%s: %w", paths[0], errSecret)
			}
			return catSetting(env.Stdout, s, g, paths[0])
		},
	)
	cmd.Flags().BoolVar(&secrets, "secrets", false, "print also what the list marks secret")
	return cmd
}

var (
	errSecret = errors.New("is secret; --secrets prints it")
	errNoFile = errors.New("cat prints files alone")
)

// catShipped prints a file of the image that runs.
func catShipped(w io.Writer, o *settingsOptions, name string, secrets bool) error {
	image, err := settings.FromFolder(o.folders().Image, chunkstore.ID{})
	if err != nil {
		return err
	}
	defer image.Close() // only read
	if options, kept := image.List().Keep(name); kept && options.Secret && !secrets {
		return fmt.Errorf("%s: %w", name, errSecret)
	}
	f, err := image.FS().Open(strings.TrimPrefix(name, "/"))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: the image has none: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}

func catSetting(w io.Writer, s *settings.Store, g *settings.Generation, path string) error {
	e := g.Entry(path)
	if e == nil {
		return fmt.Errorf("generation %d: what the image has at %s is %w", g.Number, path, settings.ErrNone)
	}
	if e.Kind == settings.Gone {
		return fmt.Errorf("generation %d: %s was removed: %w", g.Number, path, fs.ErrNotExist)
	}
	if e.Kind != settings.File {
		return fmt.Errorf("generation %d: %s is a %s, and %w", g.Number, path, e.Kind, errNoFile)
	}
	r, err := s.OpenObject(e.Content)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close())
}

// generationNumber reads a generation's number; "image" is 0.
func generationNumber(arg string) (int, error) {
	if arg == "image" {
		return 0, nil
	}
	n, err := strconv.ParseUint(arg, 10, 31)
	if err != nil {
		return 0, &usageError{fmt.Errorf("%s: want the number of a generation, or image", arg)}
	}
	return int(n), nil
}
