package main

import (
	"deltaup/internal/command"
)

func newSettingsCommand(env *Env) *command.Command {
	cmd := &command.Command{
		Use:   "settings",
		Short: "Look at, save and restore what this machine's owner changed",
	}
	cmd.Add(newSettingsMountCommand(env))
	return cmd
}
