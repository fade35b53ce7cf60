//go:build !target

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"deltaup/internal/command"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/trust"
)

func newKeysCommand(env *Env) *command.Command {
	cmd := &command.Command{
		Use:   "keys",
		Short: "Make, list and replace the keys that sign a mirror",
		Long: `A mirror is signed by four roles: root says which keys count, targets says which
release is a channel's newest, snapshot and timestamp say that nothing newer
exists. Private keys are files, encrypted with age under a passphrase. Root's
are needed for keys rotate and keys revoke alone, and are best kept elsewhere:
--keys may be repeated. See doc/keys.md for keys that were lost or stolen.`,
	}
	cmd.Add(newKeysInitCommand(env), newKeysListCommand(env), newKeysRotateCommand(env),
		newKeysRevokeCommand(env))
	return cmd
}

// keysOptions are the flags of the commands below keys.
type keysOptions struct {
	signingOptions
	mirror    string
	quorums   []string
	lifetimes []string
	work      int
	role      string
	json      bool
}

func (o *keysOptions) flags(cmd *command.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.mirror, "mirror", "", "folder of the mirror")
	o.addFlags(f)
}

// changeFlags are for the commands that make keys.
func (o *keysOptions) changeFlags(cmd *command.Command, quorum string) {
	f := cmd.Flags()
	f.StringArrayVar(&o.quorums, "quorum", nil, quorum)
	f.StringArrayVar(
		&o.lifetimes,
		"lifetime",
		nil,
		"how many days a role's signatures hold, as `ROLE=DAYS` (default root=730, targets=365, snapshot=90, timestamp=14)",
	)
	o.workFlags(cmd)
}

// workFlags are for the commands that seal new keys and sign with them.
func (o *keysOptions) workFlags(cmd *command.Command) {
	f := cmd.Flags()
	f.IntVar(&o.work, "work", trust.DefaultWork,
		"how hard a passphrase is to try: scrypt's work factor, a power of two")
	o.addClockFlag(f)
}

// check looks at the flags of the command called name.
func (o *keysOptions) check(name string) error {
	switch {
	case o.mirror == "":
		return &usageError{fmt.Errorf("deltaup %s needs --mirror DIR", name)}
	case len(o.keys) == 0:
		return &usageError{fmt.Errorf("deltaup %s needs --keys DIR", name)}
	}
	return nil
}

func newKeysInitCommand(env *Env) *command.Command {
	var o keysOptions
	cmd := &command.Command{
		Use:   "init --keys DIR --mirror DIR [flags]",
		Short: "Make all keys of a mirror, and its first root",
		Long: `Init makes the keys of all roles in DIR and the first root, which lies on the
mirror and, for targets, in DIR/root.json: build it into the image, or hand it
to pull --root. Unless --quorum says otherwise root has three keys of which two
have to sign, and every other role has one.`,
		Args: command.Exactly(0),
		Run: func(ctx context.Context, _ []string) error {
			if err := o.check("keys init"); err != nil {
				return err
			}
			return runKeysInit(ctx, env, &o)
		},
	}
	o.flags(cmd)
	o.changeFlags(cmd, "how many of how many keys have to sign, as `ROLE=2/3`; may be repeated")
	return cmd
}

func runKeysInit(ctx context.Context, env *Env, o *keysOptions) error {
	how := trust.InitOptions{
		Quorums: map[string]trust.Quorum{"root": {Threshold: 2, Keys: 3}},
		Work:    o.work,
	}
	var err error
	if err = parseQuorums(o.quorums, how.Quorums); err != nil {
		return err
	}
	if how.Lifetimes, err = parseLifetimes(o.lifetimes); err != nil {
		return err
	}
	if how.Passphrase, err = o.newPassphrase(env); err != nil {
		return err
	}
	return makeMirror(ctx, env, o.mirror, func() error {
		p, err := trust.Init(ctx, o.publisher(env, o.mirror), how)
		if err != nil {
			return fmt.Errorf("make keys: %w", err)
		}
		roles, _, err := p.Keys()
		if err != nil {
			return err
		}
		printf(env.Stdout, "%s is signed by:\n", o.mirror)
		printRoles(env.Stdout, roles)
		printf(env.Stdout, "targets trust it with %s\n", filepath.Join(o.keys[0], "root.json"))
		return nil
	})
}

func newKeysListCommand(env *Env) *command.Command {
	var o keysOptions
	cmd := &command.Command{
		Use:   "list --keys DIR --mirror DIR",
		Short: "Tell which keys sign a mirror, where they are and when signatures expire",
		Args:  command.Exactly(0),
		Run: func(ctx context.Context, _ []string) error {
			if err := o.check("keys list"); err != nil {
				return err
			}
			return runKeysList(ctx, env, &o)
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "print it as JSON")
	return cmd
}

func runKeysList(ctx context.Context, env *Env, o *keysOptions) error {
	if err := mirror.Need(ctx, folder.At(o.mirror)); err != nil {
		return err
	}
	p, err := trust.OpenPublisher(ctx, o.publisher(env, o.mirror))
	if err != nil {
		return err
	}
	roles, unused, err := p.Keys()
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(env.Stdout, struct {
			Roles  []trust.RoleInfo `json:"roles"`
			Unused []trust.KeyInfo  `json:"unused"`
		}{roles, unused})
	}
	printRoles(env.Stdout, roles)
	for _, k := range unused {
		printf(env.Stdout, "not used any more: %s\n", k.File)
	}
	return nil
}

func printRoles(w io.Writer, roles []trust.RoleInfo) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range roles {
		version := fmt.Sprintf("version %d, expires %s", r.Version,
			r.Expires.UTC().Format("2006-01-02"))
		if r.Version == 0 {
			version = "nothing signed yet"
		}
		printf(t, "%s\t%d of %d\t%s\n", r.Role, r.Threshold, len(r.Keys), version)
		for _, k := range r.Keys {
			file := k.File
			if file == "" {
				file = "(not here)"
			}
			printf(t, "\t%s\t%s\n", k.ID[:min(len(k.ID), 16)], file)
		}
	}
	_ = t.Flush() // as with all that is printed
}

func newKeysRotateCommand(env *Env) *command.Command {
	var o keysOptions
	cmd := &command.Command{
		Use:   "rotate --keys DIR --mirror DIR [--role ROLE] [flags]",
		Short: "Replace all keys of a role, and sign the root anew",
		Long: `Rotate publishes a new root, with new keys for ROLE in place of the old ones;
without --role the root is only signed anew, with another lifetime if one is
given. Targets that still have the old root follow. The keys of root that have
to sign must be at hand, and those of the roles below.`,
		Args: command.Exactly(0),
		Run: func(ctx context.Context, _ []string) error {
			if err := o.check("keys rotate"); err != nil {
				return err
			}
			return runKeysChange(ctx, env, &o, trust.Change{Role: o.role})
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.role, "role", "", "root, targets, snapshot or timestamp")
	o.changeFlags(cmd, "how many of how many keys of ROLE have to sign from now on, as `ROLE=2/3`")
	return cmd
}

func newKeysRevokeCommand(env *Env) *command.Command {
	var o keysOptions
	cmd := &command.Command{
		Use:   "revoke --keys DIR --mirror DIR ID",
		Short: "Replace one key, that was stolen or lost",
		Long: `Revoke publishes a new root in which a new key has the place of the one named ID
(8 or more of its digits, as keys list shows them). What its role has signed is
signed anew. The keys of root that have to sign must be at hand, and those of
the roles below; the revoked key need not.`,
		Args: command.Exactly(1),
		Run: func(ctx context.Context, args []string) error {
			if err := o.check("keys revoke"); err != nil {
				return err
			}
			return runKeysChange(ctx, env, &o, trust.Change{Revoke: args[0]})
		},
	}
	o.flags(cmd)
	o.workFlags(cmd)
	return cmd
}

func runKeysChange(ctx context.Context, env *Env, o *keysOptions, c trust.Change) error {
	var err error
	quorums := map[string]trust.Quorum{}
	if err = parseQuorums(o.quorums, quorums); err != nil {
		return err
	}
	c.Quorum = quorums[c.Role]
	delete(quorums, c.Role)
	if len(quorums) > 0 {
		return &usageError{errors.New("--quorum: only for the role that --role names")}
	}
	if c.Lifetimes, err = parseLifetimes(o.lifetimes); err != nil {
		return err
	}
	if c.Role != "" || c.Revoke != "" {
		if c.Passphrase, err = o.newPassphrase(env); err != nil {
			return err
		}
	}
	c.Work = o.work
	return withMirror(ctx, env, o.mirror, func() error {
		p, err := trust.OpenPublisher(ctx, o.publisher(env, o.mirror))
		if err != nil {
			return err
		}
		if err := p.Rotate(ctx, c); err != nil {
			return fmt.Errorf("replace keys: %w", err)
		}
		roles, unused, err := p.Keys()
		if err != nil {
			return err
		}
		printRoles(env.Stdout, roles)
		for _, k := range unused {
			printf(env.Stdout, "not used any more: %s\n", k.File)
		}
		return nil
	})
}

// parseQuorums reads ROLE=2/3.
func parseQuorums(args []string, into map[string]trust.Quorum) error {
	for _, a := range args {
		role, quorum, ok := strings.Cut(a, "=")
		threshold, keys, ok2 := strings.Cut(quorum, "/")
		t, err := strconv.Atoi(threshold)
		n, err2 := strconv.Atoi(keys)
		if !ok || !ok2 || err != nil || err2 != nil {
			return &usageError{
				fmt.Errorf("--quorum %q: ROLE=THRESHOLD/KEYS is wanted, such as root=2/3", a),
			}
		}
		into[role] = trust.Quorum{Threshold: t, Keys: n}
	}
	return nil
}

// parseLifetimes reads ROLE=DAYS.
func parseLifetimes(args []string) (map[string]int, error) {
	all := map[string]int{}
	for _, a := range args {
		role, days, ok := strings.Cut(a, "=")
		n, err := strconv.Atoi(days)
		if !ok || err != nil {
			return nil, &usageError{
				fmt.Errorf("--lifetime %q: ROLE=DAYS is wanted, such as timestamp=14", a),
			}
		}
		all[role] = n
	}
	return all, nil
}
