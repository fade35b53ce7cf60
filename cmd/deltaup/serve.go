//go:build !target

package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"deltaup/internal/command"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mirror/serve"
)

// serveOptions are the command's flags and argument.
type serveOptions struct {
	listen string
	log    bool
	dir    string
}

func newServeCommand(env *Env) *command.Command {
	var o serveOptions
	cmd := &command.Command{
		Use:   "serve [flags] DIR",
		Short: "Serve a mirror over HTTP",
		Long: `Serve answers GET and HEAD requests, ranges included, for the files of the
mirror in DIR until it is interrupted. It speaks plain HTTP; any other web
server does as well, see doc/nginx.md. The address that it listens on is printed
first.`,
		Args: command.Exactly(1),
		Run: func(ctx context.Context, args []string) error {
			o.dir = args[0]
			return runServe(ctx, env, &o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080",
		"`ADDRESS` to listen on; port 0 takes a free one")
	f.BoolVar(&o.log, "log", false, "print a line for each request to standard error")
	return cmd
}

func runServe(ctx context.Context, env *Env, o *serveOptions) error {
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return &usageError{fmt.Errorf("--listen %s: %w", o.listen, err)}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	if err := mirror.Need(ctx, folder.At(o.dir)); err != nil {
		return errors.Join(err, l.Close())
	}
	h := serve.Handler(o.dir)
	if o.log {
		h = serve.LogRequests(h, lineWriter{w: env.Stderr})
	}
	printf(env.Stdout, "serving %s on http://%s\n", o.dir, l.Addr())
	return serve.Until(ctx, l, h)
}
