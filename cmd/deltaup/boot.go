package main

import (
	"context"

	"deltaup/device"
	"deltaup/internal/command"
)

func newBootCommand(env *Env) *command.Command {
	cmd := &command.Command{Use: "boot", Short: "Prepare the boot loader"}
	cmd.Add(newBootSetupCommand(env))
	return cmd
}

func newBootSetupCommand(env *Env) *command.Command {
	var active string
	outputs := map[string]*string{}
	cmd := newMachineCommand(
		"setup",
		"Write GRUB's environment block and scripts for the slots",
		`Setup makes the environment block of the configuration, lets the running slot be
the active one, and writes deltaup.cfg beside the block: menu entries for a
grub.cfg to source. They change no menu's default and boot nothing until they
are chosen. With --generator the same becomes a script for /etc/grub.d, with --whole
a grub.cfg that boots the slots and nothing else. Setup can be repeated; it
mends a block that is damaged, and what goes wrong leaves everything as it was.

When all slots are empty, none is active. The first deltaup pull or install
fills one and makes it active.

With --sysroot the machine's file systems have to be mounted below DIR: from
what is mounted there setup knows where BOOT lies and how GRUB finds it. A FILE
is a path of that machine.`,
		command.Exactly(0),
		func(ctx context.Context, d *device.Device, _ []string) error {
			o := device.SetupOptions{Outputs: map[string]string{}, Active: active}
			for name, path := range outputs {
				if *path != "" {
					o.Outputs[name] = *path
				}
			}
			files, err := d.Setup(ctx, o)
			if err != nil {
				return err
			}
			for _, f := range files {
				printf(env.Stdout, "%s\n", f)
			}
			return nil
		},
	)
	f := cmd.Flags()
	for _, o := range setupOutputs {
		outputs[o.name] = f.String(o.name, "", o.usage)
	}
	f.StringVar(&active, "active", "",
		"`SLOT` that boots at first, on a machine that runs from none and has one to boot")
	return cmd
}
