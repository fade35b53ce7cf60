//go:build !target

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/trust"
)

// signingOptions are the flags of all commands that sign.
type signingOptions struct {
	keys            []string
	passphraseFiles []string
	anyClock        bool
}

func (o *signingOptions) addFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.keys, "keys", nil,
		"`DIR` with root.json and private keys; may be repeated for keys that lie elsewhere")
	f.StringArrayVar(&o.passphraseFiles, "passphrase-file", nil,
		"`FILE` whose first line opens the keys; may be repeated (default: ask)")
}

// addClockFlag is for the commands that sign by the clock.
func (o *signingOptions) addClockFlag(f *pflag.FlagSet) {
	f.BoolVar(&o.anyClock, "clock-is-right", false,
		"sign although the clock differs much from when the mirror was signed last")
}

// publisher is what the library takes. A passphrase is asked for once and tried for every key.
func (o *signingOptions) publisher(env *Env, dir string) trust.PublisherOptions {
	var known []string
	return trust.PublisherOptions{
		Mirror:   folder.At(dir),
		Keys:     o.keys,
		AnyClock: o.anyClock,
		Passphrases: func(path string) ([]string, error) {
			if known == nil {
				var err error
				if known, err = o.passphrases(env, "passphrase of "+path); err != nil {
					return nil, err
				}
			}
			return known, nil
		},
	}
}

// passphrases reads those of the files, or asks for one.
func (o *signingOptions) passphrases(env *Env, prompt string) ([]string, error) {
	var all []string
	for _, path := range o.passphraseFiles {
		p, err := readPassphrase(path)
		if err != nil {
			return nil, fmt.Errorf("passphrase file %s: %w", path, err)
		}
		all = append(all, p)
	}
	if all != nil {
		return all, nil
	}
	p, err := askPassphrase(env, prompt)
	return []string{p}, err
}

// newPassphrase is what new keys are sealed with: the first file's, or what is typed twice.
func (o *signingOptions) newPassphrase(env *Env) (string, error) {
	all, err := o.passphrases(env, "passphrase of the new keys")
	if err != nil || len(o.passphraseFiles) > 0 {
		return strings.Join(all[:min(len(all), 1)], ""), err
	}
	again, err := askPassphrase(env, "the same again")
	if err == nil && again != all[0] {
		err = &usageError{errors.New("the two passphrases differ")}
	}
	return again, err
}

func readPassphrase(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() // read only
	line, err := bufio.NewReader(io.LimitReader(f, 4<<10)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", &usageError{errors.New("its first line is empty")}
	}
	return line, nil
}

func askPassphrase(env *Env, prompt string) (string, error) {
	in, ok := env.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", &usageError{
			errors.New(
				"no terminal to ask for a passphrase on: --passphrase-file FILE names a file with one",
			),
		}
	}
	printf(env.Stderr, "%s: ", prompt)
	b, err := term.ReadPassword(int(in.Fd()))
	printf(env.Stderr, "\n")
	return string(bytes.TrimSpace(b)), err
}

// withMirror runs fn while no other publisher is at work on the mirror. It is one that is there;
// makeMirror says otherwise.
func withMirror(ctx context.Context, env *Env, dir string, fn func() error) error {
	if err := mirror.Need(ctx, folder.At(dir)); err != nil {
		return err
	}
	return locked(ctx, env, dir, fn)
}

// makeMirror is withMirror for a mirror that is made when nothing or an empty folder is there.
func makeMirror(ctx context.Context, env *Env, dir string, fn func() error) error {
	if _, err := folder.Look(dir); err != nil {
		return err
	}
	return locked(ctx, env, dir, fn)
}

func locked(ctx context.Context, env *Env, dir string, fn func() error) error {
	unlock, err := folder.At(dir).Lock(ctx,
		func() { printf(env.Stderr, "deltaup: another publisher is at work, waiting for it\n") })
	if err != nil {
		return err
	}
	defer unlock()
	return fn()
}
