//go:build !target

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"deltaup/internal/command"
	"deltaup/mkimage/adopt"
)

func newAdoptCommand(env *Env) *command.Command {
	var settings adopt.Settings
	var architecture string
	cmd := &command.Command{
		Use:   "adopt --program FILE [flags] TREE",
		Short: "Put deltaup into the tree of a root file system",
		Long: `Adopt puts what a machine needs to be updated into a folder that another tool has
made: the program for targets, the units of systemd, what an initramfs is made
with, deltaup.toml and the trust root. What is there of an earlier deltaup is
replaced. Make the initrd and the image behind it. A definition of layers has a
section [deltaup] for the same.`,
		Args: command.Exactly(1),
		Run: func(_ context.Context, args []string) error {
			if settings.Program == "" {
				return &usageError{errors.New("adopt needs --program")}
			}
			dir := args[0]
			has := func(path string) bool {
				_, err := os.Lstat(filepath.Join(dir, path))
				return err == nil
			}
			files, err := adopt.Files(settings, architecture, has)
			if err != nil {
				return err
			}
			if err := adopt.Into(dir, files); err != nil {
				return err
			}
			printf(env.Stdout, "%s: %d files\n", dir, len(files))
			return nil
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&settings.Program, "program", "", "deltaup for the machines, as `FILE`")
	f.StringVar(&settings.Config, "config", "", "deltaup.toml for machines without one, as `FILE`")
	f.StringVar(&settings.Root, "root", "", "root.json: whom the machines trust, as `FILE`")
	f.StringVar(&architecture, "architecture", "",
		"of the machines, as Debian calls it; another program is refused")
	return cmd
}
