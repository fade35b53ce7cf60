package main

import (
	"context"
	"errors"

	"deltaup/device"
	"deltaup/internal/command"
)

func newNoticeCommand(env *Env) *command.Command {
	return newMachineCommand(
		"notice",
		"Tell of a fallback at the boot that follows it",
		`Notice looks at what the boot loader and the initramfs did in the boots before.
When the machine has fallen back, /run/motd.d/50-deltaup says from which slot
and why, the fallback hooks run, once for each fallback, and the same is
printed, with the console's last lines where anything has kept them.
deltaup-notice.service runs it early in each boot; nothing is printed when all
is well.`,
		command.Exactly(0),
		func(ctx context.Context, d *device.Device, _ []string) error {
			lines, err := d.Notice(ctx)
			for _, line := range lines {
				printf(env.Stdout, "%s\n", line)
			}
			return errors.Join(err, tellLast(ctx, d))
		},
	)
}
