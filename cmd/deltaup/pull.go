package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"deltaup/apply"
	"deltaup/device"
	"deltaup/internal/command"
	"deltaup/internal/human"
	"deltaup/mirror/client"
	"deltaup/slotboot"
	"deltaup/slotboot/config"
)

// pullMemory is what a pull takes, in bytes, until it knows how much it needs. It streams
// everything: what it needs at a time depends on the recipe and on the level, not on the image.
const pullMemory = 64 << 20

// pullBeside is what a process takes, in bytes, beside what the Go runtime counts.
const pullBeside = 16 << 20

// limitMemory holds the process to a number of bytes.
func limitMemory(bytes int64) { debug.SetMemoryLimit(bytes - pullBeside) }

// pullProcessors bounds what takes memory for each processor: readers of a seed, decoders,
// encoders.
const pullProcessors = 8

func newPullCommand(env *Env) *command.Command {
	var o pullOptions
	cmd := &command.Command{
		Use:   "pull [MIRROR... --slot PATH [--seed PATH]...] [flags]",
		Short: "Bring a slot to a mirror's newest image",
		Long: `Without arguments, pull updates this machine as its configuration says: the
running slot is the seed, and the oldest other slot that is not pinned gets the
newest release with its kernel and initrd. That slot cannot be booted from the
first write on; when all of it has been read back it is put on trial and boots
next. The exit code is 100 when the newest release runs already, and 101 when it
is installed and waits for a reboot.

With arguments, pull rebuilds a release's image in a slot, a file or a block
device, from what the seeds have and what it fetches from a mirror: a URL or a
folder. Each further MIRROR holds the same files and takes over where one before
it fails.

Only what the publisher has signed is pulled: --root, or the image that is
running, says who that is. A mirror that is not signed is refused unless
--insecure is given.

A seed is a squashfs image, of whoever made it, an initrd, or any other file; it
is only read. What stands in the place of an artifact is a seed, too. The slot
cannot be mounted from the first write to it until the whole image has been read
back and found right. A pull that was cut off is continued by the same command:
nothing that reached the disk is fetched again.

Of all routes to the image (by patches, by chunks, by stored blocks, whole) the
quickest is taken, for a line of --bandwidth and --rtt and for this machine as
measured. On a fast line that is the whole image; --optimize bytes keeps the
bytes small on any line. A mirror on this machine is taken for a line of 50mbit
at most. See also deltaup plan.

With --json, standard output has one JSON object a line; its "event" is quote,
progress, warning, result or error.`,
		Run: func(ctx context.Context, args []string) error {
			o.mirrors = append(args, o.mirrors...)
			o.configured = len(o.mirrors) == 0 && o.slot == "" && len(o.seeds) == 0 &&
				len(o.artifacts) == 0
			return runPull(ctx, env, &o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	o.addSourceFlags(f)
	o.addUpdateFlags(f)
	o.addLineFlags(f)
	return cmd
}

// update is an update that was prepared: of a slot, or of this machine.
type update interface {
	Quote() apply.Quote
	Run(context.Context) (apply.Result, error)
	Close() error
}

func runPull(ctx context.Context, env *Env, o *pullOptions) error {
	d, err := o.configure()
	if err != nil {
		return err
	}
	r, maxBytes, err := o.request(env)
	if err != nil {
		return &usageError{err}
	}
	minRate, err := parseBytes("--min-rate", o.minRate)
	if err != nil {
		return &usageError{err}
	}
	out := newReporter(env, o)
	defer out.close()
	r.Events = out.event
	servers, err := o.http.settings(o.mirrors, d)
	if err != nil {
		return err
	}
	// For the rest of the process: a library must not decide that.
	r.Limit = limitMemory
	limitMemory(cmp.Or(r.Memory, pullMemory))
	runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), pullProcessors))
	debug.SetGCPercent(50)
	r.Early = newEarly(ctx, r, d)
	defer r.Early.Close() // only read
	r.Client, err = client.New(o.mirrors, client.Options{
		HTTP:        servers,
		Connections: r.Early.Connections(),
		Timeout:     o.timeout,
		MinRate:     minRate,
		RateLimit:   int64(r.RateLimit),
		MaxBytes:    maxBytes,
		Log:         func(e client.Event) { out.event(apply.Event{Warning: e.Text}) },
	})
	if err != nil && o.fromConfig {
		err = fmt.Errorf("%s: mirrors: %w", d.Config.File, err)
	}
	if err != nil {
		return &usageError{err}
	}
	defer r.Client.Close()
	// Before anything is fetched: a slot that cannot be one is known at once. No file is made yet.
	if o.slot != "" {
		slot, err := slotboot.Open(o.slot,
			slotboot.Options{ReadOnly: o.dryRun || o.planOnly, Device: slotboot.IsDevice(o.slot)})
		if err != nil {
			return out.failed(err)
		}
		defer slot.Close() // synced when it matters
		r.Slot = slot
	}
	if d != nil {
		if err := d.CheckTarget(ctx, o.dryRun); err != nil {
			return out.failed(err)
		}
	}
	installs := !o.dryRun && !o.planOnly
	r.Trust, err = o.trust.repository(ctx, &r, installs)
	if err != nil {
		return out.failed(err)
	}
	if r.Trust != nil {
		for _, w := range r.Trust.Warnings() {
			out.event(apply.Event{Warning: w})
		}
	}
	return out.failed(pull(ctx, maxBytes, o.dryRun || o.planOnly, out, func() (update, error) {
		if d == nil {
			return apply.Prepare(ctx, r)
		}
		warning := func(text string) { out.event(apply.Event{Warning: text}) }
		warnNotKept(ctx, d, warning)
		return d.Prepare(ctx, r, device.InstallOptions{
			Again: o.again, DryRun: o.dryRun, Repair: o.repair, Warning: warning,
			Vet: func(ctx context.Context, image string) error {
				return vetSettings(ctx, d, image, o.force, warning)
			},
		})
	}))
}

// newEarly makes the early work of a request, which on a machine with slots lacks its seeds yet.
func newEarly(ctx context.Context, r apply.Request, d *device.Device) *apply.Early {
	if d != nil {
		r.Seeds = d.Running()
	}
	return apply.NewEarly(ctx, &r)
}

// configure takes what the machine's configuration says, when there is one to be asked; nil
// otherwise.
func (o *pullOptions) configure() (*device.Device, error) {
	if !o.configured {
		if o.channel == "" {
			o.channel = "stable"
		}
		return nil, nil
	}
	d, err := o.machine.open()
	if errors.Is(err, config.ErrNone) && o.repair {
		return nil, &usageError{fmt.Errorf("repair is for a machine with slots: there is %w", err)}
	}
	if errors.Is(err, config.ErrNone) {
		return nil, &usageError{fmt.Errorf("pull needs a MIRROR and --slot PATH: there is %w", err)}
	}
	if err != nil {
		return nil, err
	}
	if len(o.mirrors) == 0 {
		o.mirrors, o.fromConfig = d.Config.Mirrors, true
	}
	if len(o.mirrors) == 0 {
		return nil, &usageError{fmt.Errorf("%s: mirrors: none is configured", d.Config.File)}
	}
	if o.channel == "" {
		o.channel = d.Config.Channel
	}
	if o.trust.acceptExpired == "" && !o.trust.insecure {
		o.trust.acceptExpired = d.Config.AcceptExpired
	}
	o.state = d.Machine.Path(d.Config.State)
	o.trust.sysroot = d.Machine.Root
	return d, nil
}

func pull(ctx context.Context, maxBytes int64, dryRun bool, out reporter,
	prepare func() (update, error)) error {
	u, err := prepare()
	if err != nil {
		return err
	}
	defer u.Close() // nothing in it is unwritten
	q := u.Quote()
	out.quote(q)
	if dryRun {
		return nil
	}
	if maxBytes > 0 && q.MetaBytes+q.Bytes > maxBytes {
		return fmt.Errorf(
			"release %s takes %s, %s of it already fetched, which is %s more than --max-bytes permits: %w",
			q.Version,
			human.Size(q.MetaBytes+q.Bytes),
			human.Size(q.MetaBytes),
			human.Size(q.MetaBytes+q.Bytes-maxBytes),
			client.ErrBudget,
		)
	}
	result, err := u.Run(ctx)
	if err != nil {
		return err
	}
	out.result(result)
	return nil
}
