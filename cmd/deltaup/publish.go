//go:build !target

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"deltaup/internal/command"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
	"deltaup/mkimage/layers/sbom"
	"deltaup/trust"
)

// publishMemory is what the Go runtime is held to: garbage is collected sooner than usual when
// patches of large files are made.
const publishMemory = 1800 << 20

// publishOptions are the command's flags and arguments.
type publishOptions struct {
	mirror     string
	version    string
	channel    string
	compatible string
	kernel     string
	initrd     string
	sbom       string
	artifacts  []string
	raw        bool
	fallback   bool
	patchFrom  int
	noWait     bool
	json       bool
	quiet      bool
	image      string

	patchCacheOptions
	signingOptions
	unsigned bool
	info     trust.Info
}

func newPublishCommand(env *Env) *command.Command {
	var o publishOptions
	cmd := &command.Command{
		Use:   "publish --mirror DIR --version V [flags] IMAGE",
		Short: "Add a release to a mirror and point a channel to it",
		Long: `Publish adds IMAGE, the recipe beside it (IMAGE.recipe) and other artifacts as
one release to the mirror in DIR, which is made when nothing or an empty folder
is there. Chunks that the mirror already has are not stored again. Patch sets
are made from the releases that the channel pointed to before. The channel's
pointer moves last.

With --keys the release is signed, as deltaup keys init has prepared it. Targets
refuse a release that is not signed unless they are told not to. A mirror that
was signed once takes a release without --keys only with --unsigned.

What was made for patch sets is kept in a cache of this user: what the sets from
several releases have in common is made once, and a run after one that was cut
off goes on. Nothing in it is trusted.

The same command again completes a run that was cut off. A version that the
mirror has with the same bytes is left as it is and only the pointer moves,
which also promotes a release to another channel.`,
		Args: command.Exactly(1),
		Run: func(ctx context.Context, args []string) error {
			o.image = args[0]
			return runPublish(ctx, env, &o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.mirror, "mirror", "", "folder of the mirror")
	f.StringVar(&o.version, "version", "", "version of the release")
	f.StringVar(&o.channel, "channel", "stable", "channel whose pointer moves; empty moves none")
	f.StringVar(&o.compatible, "compatible", "",
		"machines that the release is for; others refuse it")
	f.StringVar(&o.kernel, "kernel", "", "kernel to publish beside the image; auto takes the one in it")
	f.StringVar(&o.initrd, "initrd", "", "initrd to publish beside the image")
	f.StringVar(&o.sbom, "sbom", "",
		"bill of materials to publish beside the image, as layers sbom writes it")
	f.StringArrayVar(&o.artifacts, "artifact", nil,
		"further file to publish as it is, as `NAME=FILE`; may be repeated")
	f.BoolVar(&o.fallback, "fallback", false,
		"store what --kernel names as it is, too: a deltaup that cannot make it fetches that")
	f.BoolVar(&o.raw, "raw", false,
		"IMAGE is no squashfs image of mkimage: publish it as chunks of its bytes")
	f.IntVar(&o.patchFrom, "patch-from", 3,
		"make patch sets from this many releases before; 0 makes none")
	o.addCacheFlags(f)
	o.addFlags(f)
	o.addClockFlag(f)
	f.BoolVar(
		&o.unsigned,
		"unsigned",
		false,
		"add the release without a signature, though the mirror is signed: only who reads it unverified gets it",
	)
	f.StringVar(&o.info.Minimum, "minimum", "",
		"oldest version that a machine may go back to once it has this one (signed)")
	f.StringVar(&o.info.KernelArguments, "kernel-arguments", "",
		"what to add to the kernel's command line (signed)")
	f.StringVar(&o.info.Notes, "notes", "", "what is new, for people (signed)")
	f.BoolVar(&o.noWait, "no-wait", false,
		"fail when another publisher is at work instead of waiting for it")
	f.BoolVar(&o.json, "json", false,
		"print events as JSON, one a line; their fields are in doc/mirror.md")
	f.BoolVar(&o.quiet, "quiet", false, "print nothing but errors and warnings")
	return cmd
}

// publication turns the flags into what the library takes.
func (o *publishOptions) publication() (publish.Publication, error) {
	p := publish.Publication{
		Version:    o.version,
		Channel:    o.channel,
		Compatible: o.compatible,
		PatchFrom:  o.patchFrom,
		NoWait:     o.noWait,
		Unsigned:   o.unsigned,
	}
	switch {
	case o.mirror == "":
		return p, &usageError{errors.New("publish needs --mirror DIR")}
	case o.version == "":
		return p, &usageError{errors.New("publish needs --version V")}
	}
	if o.raw {
		p.Artifacts = append(p.Artifacts, publish.File{Name: mirror.ImageName, Path: o.image})
	} else {
		p.Image = o.image
	}
	if o.kernel != "" {
		p.Artifacts = append(p.Artifacts, publish.File{Name: mirror.KernelName,
			Path: o.kernel, Fallback: o.fallback})
	}
	if o.fallback && o.kernel == "" {
		return p, &usageError{errors.New("--fallback goes with --kernel")}
	}
	if o.initrd != "" {
		p.Artifacts = append(p.Artifacts, publish.File{Name: mirror.InitrdName, Path: o.initrd})
	}
	if o.sbom != "" {
		p.Artifacts = append(p.Artifacts,
			publish.File{Name: mirror.SBOMName, Path: o.sbom, Raw: true})
	}
	for _, a := range o.artifacts {
		name, path, ok := strings.Cut(a, "=")
		if !ok || path == "" {
			return p, &usageError{fmt.Errorf("--artifact %s: NAME=FILE is wanted", a)}
		}
		p.Artifacts = append(p.Artifacts, publish.File{Name: name, Path: path, Raw: true})
	}
	if err := p.Validate(); err != nil {
		return p, &usageError{err}
	}
	if err := o.info.Validate(); err != nil {
		return p, &usageError{err}
	}
	if len(o.keys) > 0 && o.unsigned {
		return p, &usageError{errors.New("--unsigned and --keys exclude each other")}
	}
	if len(o.keys) == 0 && o.info != (trust.Info{}) {
		return p, &usageError{
			errors.New(
				"--minimum, --kernel-arguments and --notes are signed: they need --keys DIR",
			),
		}
	}
	return p, nil
}

func runPublish(ctx context.Context, env *Env, o *publishOptions) error {
	if o.kernel == kernelAuto {
		remove, err := o.kernelFile(ctx)
		if err != nil {
			return err
		}
		defer remove()
	}
	p, err := o.publication()
	if err != nil {
		return err
	}
	out := newPublishReporter(env, o)
	if o.sbom != "" {
		if err := sbom.Check(o.sbom); err != nil {
			return out.failed(err)
		}
	}
	p.Waiting = func() { printf(env.Stderr, "deltaup: another publisher is at work, waiting for it\n") }
	if _, err := folder.Look(o.mirror); err != nil { // before the keys are opened
		return out.failed(err)
	}
	if len(o.keys) > 0 {
		if p.Seal, err = o.seal(ctx, env); err != nil {
			return out.failed(err)
		}
	}
	// for the rest of the process: a library must not decide that
	debug.SetMemoryLimit(publishMemory)
	p.Progress = out.progress
	cache, closeCache, err := o.openCache(out.warn)
	if err != nil {
		return out.failed(err)
	}
	p.Cache = cache
	done, err := publish.Add(ctx, folder.At(o.mirror), p)
	closeCache()
	if err != nil {
		return out.failed(err)
	}
	out.published(done)
	return nil
}

// seal gives what signs the release. That the keys can be opened is made sure of now; the mirror is
// read again once nobody else changes it.
func (o *publishOptions) seal(ctx context.Context,
	env *Env) (func(context.Context, *mirror.Release) error, error) {
	options := o.publisher(env, o.mirror)
	p, err := trust.OpenPublisher(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := p.Ready(); err != nil {
		return nil, err
	}
	return func(ctx context.Context, r *mirror.Release) error {
		if err := p.Reload(ctx); err != nil {
			return err
		}
		return p.Add(ctx, o.channel, r, o.info)
	}, nil
}

// peakMemory is the most resident memory that this process has had, in bytes, where the system
// tells.
func peakMemory() (int64, bool) {
	var usage syscall.Rusage
	if runtime.GOOS != "linux" || syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0, false // other systems count in other units
	}
	return int64(usage.Maxrss) << 10, true
}
