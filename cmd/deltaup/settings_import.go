package main

import (
	"context"
	"io"

	"deltaup/internal/command"
	"deltaup/internal/human"
	"deltaup/settings"
)

// shownNotListed is how many paths that are not listed import prints.
const shownNotListed = 20

func newSettingsImportCommand(env *Env) *command.Command {
	var i settings.Import
	var asJSON bool
	cmd := newSettingsSubcommand(
		"import SOURCE",
		"Take settings from a backup, an archive, a folder or a git working tree",
		`Import writes what SOURCE has of the settings that the list keeps, and says what it
leaves. SOURCE is a tar archive, plain or compressed by gzip, as TinyCore's
mydata.tgz, Alpine's HOST.apkovl.tar.gz or deltaup settings export; a folder; a
git working tree, whose files get the owner and mode that the machine has there, or
root's; or the upper folder of an overlay, whose whiteouts remove files. With
--prefix its top is that folder of the machine.

Encrypted archives are refused, and so is each name that leads out of its place or
lies below a link, and each device and hard link. What had not been saved is saved
before, so that undo leads back.`,
		command.Exactly(1),
		func(ctx context.Context, o *settingsOptions, args []string) error {
			i.Path = args[0]
			if i.Prefix != "" {
				paths, err := settingPaths([]string{i.Prefix})
				if err != nil {
					return err
				}
				i.Prefix = paths[0]
			}
			var done *settings.ImportResult
			err := o.withRunning(ctx, !i.DryRun, func(r *settings.Running) (err error) {
				done, err = r.Import(ctx, i)
				return err
			})
			if err != nil {
				return err
			}
			if made := max(done.Saved, done.Made); made > 0 {
				tellGeneration(ctx, env, o, made)
			}
			if asJSON {
				return printJSON(env.Stdout, jsonOfImport(done))
			}
			printImport(env.Stdout, done, i.DryRun)
			return nil
		},
	)
	f := cmd.Flags()
	f.StringVar(&i.Prefix, "prefix", "", "the top of SOURCE belongs to `FOLDER` (default: /)")
	f.BoolVar(&i.DryRun, "dry-run", false, "only say what would be taken")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

type refusedJSON struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

type importJSON struct {
	Saved      int           `json:"saved,omitempty"`
	Generation int           `json:"generation,omitempty"`
	Taken      []string      `json:"taken"`
	Same       int           `json:"same"`
	NotListed  []string      `json:"not_listed"`
	InData     []string      `json:"in_data"`
	Refused    []refusedJSON `json:"refused"`
}

func jsonOfImport(r *settings.ImportResult) importJSON {
	out := importJSON{r.Saved, r.Made, append([]string{}, r.Taken...), r.Same, append([]string{}, r.NotListed...),
		append([]string{}, r.InData...), []refusedJSON{}}
	for _, x := range r.Refused {
		out.Refused = append(out.Refused, refusedJSON{x.Path, x.Why})
	}
	return out
}

// printLeft prints the first of the paths that an import has left.
func printLeft(w io.Writer, why string, paths []string) {
	if len(paths) == 0 {
		return
	}
	printf(w, "%s: %s\n", why, count(len(paths), "path"))
	for _, p := range paths[:min(len(paths), shownNotListed)] {
		printf(w, "    %s\n", human.Name(p))
	}
	if more := len(paths) - shownNotListed; more > 0 {
		printf(w, "    and %s more\n", count(more, "path"))
	}
}

func printImport(w io.Writer, r *settings.ImportResult, dryRun bool) {
	if r.Saved > 0 {
		printf(w, "generation %d: what had not been saved\n", r.Saved)
	}
	for _, p := range r.Taken {
		printf(w, "    %s\n", human.Name(p))
	}
	for _, x := range r.Refused {
		printf(w, "refused: %s: %s\n", human.Name(x.Path), x.Why)
	}
	printLeft(w, "not taken, since the list does not keep it", r.NotListed)
	printLeft(w, "not taken, since it belongs into a folder of data, which tar can fill", r.InData)
	what := "taken"
	if dryRun {
		what = "would be taken"
	}
	printf(w, "%s: %s, %d were there already\n", what, count(len(r.Taken), "setting"), r.Same)
	if r.Made > 0 {
		printf(w, "generation %d\n", r.Made)
	}
}
