package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"deltaup/internal/command"
	"deltaup/internal/durable"
	"deltaup/settings"
	"deltaup/settings/list"
)

// settingsExport is the flags of the command.
type settingsExport struct {
	git, branch, tar string
	generation       string
}

func newSettingsExportCommand(env *Env) *command.Command {
	var e settingsExport
	cmd := newSettingsSubcommand(
		"export --git DIR | --tar FILE",
		"Write the history into a git repository, or a generation into a tar archive",
		`With --git each generation that the repository does not have yet becomes a commit
on its branch. Git has to be installed. A missing or empty DIR becomes a bare
repository. Owner, mode, attributes and what was removed stand in the file
.deltaup-attributes of each commit. Nothing is pushed: a hook can do that.

With --tar the last generation, or --generation, is written as an archive that
deltaup settings import and tar read; FILE - is standard output.

What the list marks secret stays out of both.`,
		command.Exactly(0),
		func(ctx context.Context, o *settingsOptions, _ []string) error {
			if (e.git == "") == (e.tar == "") {
				return &usageError{errors.New("export takes one of --git DIR and --tar FILE")}
			}
			store, running, err := o.openStore()
			if err != nil {
				return err
			}
			defer store.Close() // only read
			if e.git != "" {
				return e.toGit(ctx, env, o, store, running)
			}
			return e.toTar(env, store, running)
		},
	)
	f := cmd.Flags()
	f.StringVar(&e.git, "git", "", "`DIR` of a git repository")
	f.StringVar(&e.branch, "branch", "settings", "`NAME` of the branch")
	f.StringVar(&e.tar, "tar", "", "`FILE` for a tar archive")
	f.StringVar(&e.generation, "generation", "", "with --tar: write generation `N` (default: the last one)")
	return cmd
}

func (e *settingsExport) toGit(ctx context.Context, env *Env, o *settingsOptions, store *settings.Store,
	running *list.List) error {
	host := hostName(o.sysroot)
	done, err := store.ExportGit(ctx, settings.GitExport{
		Dir: e.git, Branch: e.branch, Author: fmt.Sprintf("deltaup on %s <root@%s>", host, host), Running: running,
	})
	if err != nil {
		return err
	}
	for _, text := range done.Skipped {
		warn(env.Stderr, text)
	}
	printf(env.Stdout, "%s\n", count(done.Commits, "new commit"))
	if done.Secrets > 0 {
		printf(env.Stdout, "left out, since they are secret: %s\n", count(done.Secrets, "setting"))
	}
	return nil
}

// hostName is the name of the machine.
func hostName(root string) string {
	if root != "/" {
		b, err := os.ReadFile(filepath.Join(root, "etc/hostname"))
		if err == nil {
			if name := strings.TrimSpace(string(b)); name != "" {
				return name
			}
		}
	}
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

func (e *settingsExport) toTar(env *Env, store *settings.Store, running *list.List) error {
	number, err := e.number(store)
	if err != nil {
		return err
	}
	g, err := store.Generation(number)
	if err != nil {
		return err
	}
	var done *settings.TarExported
	write := func(w io.Writer) (err error) {
		done, err = store.ExportTar(w, g, running)
		return err
	}
	if e.tar == "-" {
		return write(env.Stdout)
	}
	if err := durable.WriteSecret(filepath.Dir(e.tar), e.tar, write); err != nil {
		return err
	}
	printf(env.Stdout, "generation %d: %s\n", number, count(done.Files, "setting"))
	if done.Secrets > 0 {
		printf(env.Stdout, "left out, since they are secret: %s\n", count(done.Secrets, "setting"))
	}
	if done.Gone > 0 {
		printf(env.Stdout, "left out, since an archive cannot say that something was removed: %s\n",
			count(done.Gone, "path"))
	}
	return nil
}

// number is the generation that is written.
func (e *settingsExport) number(store *settings.Store) (int, error) {
	if e.generation != "" {
		return generationNumber(e.generation)
	}
	laid, err := store.Laid()
	if err != nil {
		return 0, err
	}
	if laid.Generation == 0 {
		return 0, fmt.Errorf("generation: %w", settings.ErrNone)
	}
	return laid.Generation, nil
}
