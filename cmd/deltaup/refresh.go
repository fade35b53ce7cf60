//go:build !target

package main

import (
	"context"
	"fmt"

	"deltaup/internal/command"
	"deltaup/trust"
)

func newRefreshCommand(env *Env) *command.Command {
	var o keysOptions
	cmd := &command.Command{
		Use:   "refresh --keys DIR --mirror DIR",
		Short: "Sign again that a mirror has nothing newer",
		Long: `Refresh signs the timestamp of a mirror anew, and its snapshot once half of that
one's life is over. Targets refuse a mirror whose timestamp has expired, so it
is run on a schedule: see doc/keys.md for a timer and a cron line. It needs the
keys of timestamp and snapshot only.`,
		Args: command.Exactly(0),
		Run: func(ctx context.Context, _ []string) error {
			if err := o.check("refresh"); err != nil {
				return err
			}
			return runRefresh(ctx, env, &o)
		},
	}
	o.flags(cmd)
	o.addClockFlag(cmd.Flags())
	return cmd
}

func runRefresh(ctx context.Context, env *Env, o *keysOptions) error {
	return withMirror(ctx, env, o.mirror, func() error {
		p, err := trust.OpenPublisher(ctx, o.publisher(env, o.mirror))
		if err != nil {
			return err
		}
		if err := p.Refresh(ctx); err != nil {
			return fmt.Errorf("refresh: %w", err)
		}
		roles, _, err := p.Keys()
		if err != nil {
			return err
		}
		for _, r := range roles {
			printf(env.Stdout, "%s: expires %s\n", r.Role,
				r.Expires.UTC().Format("2006-01-02 15:04"))
		}
		return nil
	})
}
