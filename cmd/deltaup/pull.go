package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"deltaup/apply"
	"deltaup/delta"
	"deltaup/device"
	"deltaup/mirror"
	"deltaup/slotboot"
	"deltaup/slotboot/config"
)

// pullMemory is what the Go runtime is held to. A pull streams everything: what it
// needs at a time depends on the recipe and on the level, not on the image.
const pullMemory = 100 << 20

// pullProcessors bounds what takes memory for each processor: readers of a seed, decoders, encoders.
const pullProcessors = 4

// payloadShare is what headers of TCP, IP and Ethernet leave of what a line carries.
const payloadShare = 0.95

// pullOptions are the command's flags and arguments.
type pullOptions struct {
	mirrors    []string
	seeds      []string
	slot       string
	channel    string
	version    string
	compatible string
	artifacts  []string
	state      string
	dryRun     bool
	planOnly   bool // the command is plan
	json       bool
	quiet      bool
	bandwidth  string
	rtt        time.Duration
	optimize   string
	route      string
	limitRate  string
	maxBytes   string
	timeout    time.Duration
	minRate    string
	parallel   int
	trust      trustOptions

	configured bool // the machine's configuration says from where and where to
	machine    machineOptions
	again      bool
}

func newPullCommand(env *Env) *cobra.Command {
	var o pullOptions
	cmd := &cobra.Command{
		Use:   "pull [MIRROR... --slot PATH [--seed PATH]...] [flags]",
		Short: "Bring a slot to a mirror's newest image",
		Long: `Without arguments, pull updates this machine as its configuration says: the running slot is the
seed, and the oldest other slot that is not pinned gets the newest release with its kernel and
initrd. That slot cannot be booted from the first write on; when all of it has been read back it
is put on trial and boots next. The exit code is 100 when the newest release runs
already, and 101 when it is installed and waits for a reboot.

With arguments, pull rebuilds a release's image in a slot, a file or a block device, from what the
seeds have and what it fetches from a mirror: a URL or a folder. Each further MIRROR holds the
same files and takes over where one before it fails.

Only what the publisher has signed is pulled: --root, or the image that is running, says who that is. A
mirror that is not signed is refused unless --insecure is given.

A seed is a squashfs image, of whoever made it, an initrd, or any other file; it is only
read. What stands in the place of an artifact is a seed, too. The
slot cannot be mounted from the first write to it until the whole image has been
read back and found right. A pull that was cut off is continued by the same command:
nothing that reached the disk is fetched again.

Of all routes to the image (by patches, by chunks, by stored blocks, whole) the quickest is
taken, for a line of --bandwidth and --rtt and for this machine as measured. On a fast line
that is the whole image; --optimize bytes keeps the bytes small on any line. A mirror on this
machine is taken for a line of 50mbit at most. See also deltaup plan.

With --json, standard output has one JSON object a line; its "event" is quote,
progress, warning, result or error.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.mirrors = append(args, o.mirrors...)
			o.configured = len(o.mirrors) == 0 && o.slot == "" && len(o.seeds) == 0 && len(o.artifacts) == 0
			return runPull(cmd.Context(), env, &o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	o.addSourceFlags(f)
	o.addUpdateFlags(f)
	o.addLineFlags(f)
	return cmd
}

// addUpdateFlags adds the flags of commands that write.
func (o *pullOptions) addUpdateFlags(f *pflag.FlagSet) {
	o.machine.addFlags(f)
	f.BoolVar(&o.again, "again", false, "install a release that was rolled back all the same")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be fetched, and change nothing but the state folder")
	f.BoolVar(&o.json, "json", false, "print events as JSON, one a line")
	f.BoolVar(&o.quiet, "quiet", false, "print nothing but errors")
}

// addSourceFlags adds the flags that say what is pulled, from what and where to.
func (o *pullOptions) addSourceFlags(f *pflag.FlagSet) {
	f.StringVar(&o.slot, "slot", "", "file or block device to write the image to")
	f.StringArrayVar(&o.seeds, "seed", nil, "image or file to take content from; may be repeated")
	f.StringVar(&o.channel, "channel", "", "channel whose newest release is pulled (default: the configuration's, or stable)")
	f.StringVar(&o.version, "version", "", "release to pull instead of the channel's newest")
	f.StringVar(&o.compatible, "compatible", "", "what this machine is; a release made for others is refused")
	f.StringArrayVar(&o.artifacts, "artifact", nil, "write an artifact beside the image (kernel, initrd, a raw one) to a file, as `NAME=FILE`; may be repeated")
	f.StringArrayVar(&o.mirrors, "mirror", nil, "a further mirror, as the arguments; may be repeated")
	o.trust.addFlags(f)
	f.StringVar(&o.state, "state", "", "`DIR` for what outlives a run (default /var/lib/deltaup for root, else below ~/.local/state)")
}

// addLineFlags adds the flags that say how the line is and how much of it may be used.
func (o *pullOptions) addLineFlags(f *pflag.FlagSet) {
	f.StringVar(&o.bandwidth, "bandwidth", "", "what the line carries, as `RATE`: 1mbit, 2.5gbit, or in bytes 500kB (default: measured)")
	f.DurationVar(&o.rtt, "rtt", 0, "a round trip to the mirror, such as 50ms (default: measured)")
	f.StringVar(&o.optimize, "optimize", "time", "what to keep small: `time` or bytes")
	f.StringVar(&o.route, "route", "", "take only this `ROUTE`: patch, chunks, blocks or whole (default: the best)")
	f.StringVar(&o.limitRate, "limit-rate", "", "fetch no more than `BYTES` a second, such as 200k")
	f.StringVar(&o.maxBytes, "max-bytes", "", "refuse to fetch more than `BYTES`, such as 50M")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "give up on a server that sends nothing for so long")
	f.StringVar(&o.minRate, "min-rate", "64", "give up on a server that sends fewer than `BYTES` a second")
	f.IntVar(&o.parallel, "parallel", 4, "requests under way at once")
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
	r.Client, err = mirror.NewClient(o.mirrors, mirror.ClientOptions{
		Timeout:   o.timeout,
		MinRate:   minRate,
		RateLimit: int64(r.RateLimit),
		MaxBytes:  maxBytes,
		Log:       func(e mirror.Event) { out.event(apply.Event{Warning: e.Text}) },
	})
	if err != nil {
		return &usageError{err}
	}
	// Before the slot is opened, which may make a file: whom to believe is the first question.
	if r.Trust, err = o.trust.repository(ctx, r.Client, r.StateDir, !o.dryRun && !o.planOnly); err != nil {
		return out.failed(err)
	}
	if r.Trust != nil {
		for _, w := range r.Trust.Warnings() {
			out.event(apply.Event{Warning: w})
		}
	}
	if o.slot != "" {
		slot, err := slotboot.Open(o.slot, slotboot.Options{ReadOnly: o.dryRun || o.planOnly})
		if err != nil {
			return out.failed(err)
		}
		defer slot.Close() // synced when it matters
		r.Slot = slot
	}
	// For the rest of the process: a library must not decide that.
	debug.SetMemoryLimit(pullMemory)
	runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), pullProcessors))
	debug.SetGCPercent(50)
	return out.failed(pull(ctx, maxBytes, o.dryRun || o.planOnly, out, func() (update, error) {
		if d == nil {
			return apply.Prepare(ctx, r)
		}
		return d.Prepare(ctx, r, device.UpdateOptions{
			Again: o.again, DryRun: o.dryRun,
			Warning: func(text string) { out.event(apply.Event{Warning: text}) },
		})
	}))
}

// configure takes what the machine's configuration says, when there is one to be asked; nil otherwise.
func (o *pullOptions) configure() (*device.Device, error) {
	if !o.configured {
		if o.channel == "" {
			o.channel = "stable"
		}
		return nil, nil
	}
	d, err := o.machine.open()
	if errors.Is(err, config.ErrNone) {
		return nil, &usageError{fmt.Errorf("pull needs a MIRROR and --slot PATH: there is %w", err)}
	}
	if err != nil {
		return nil, err
	}
	if len(o.mirrors) == 0 {
		o.mirrors = d.Config.Mirrors
	}
	if len(o.mirrors) == 0 {
		return nil, &usageError{fmt.Errorf("%s: mirrors: none is configured", d.Config.File)}
	}
	if o.channel == "" {
		o.channel = d.Config.Channel
	}
	o.state = d.Machine.Path(d.Config.State)
	o.trust.sysroot = d.Machine.Root
	return d, nil
}

func pull(ctx context.Context, maxBytes int64, dryRun bool, out reporter, prepare func() (update, error)) error {
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
		return fmt.Errorf("release %s takes %d bytes, %d of them already fetched, and --max-bytes is %d: %w",
			q.Version, q.MetaBytes+q.Bytes, q.MetaBytes, maxBytes, mirror.ErrBudget)
	}
	result, err := u.Run(ctx)
	if err != nil {
		return err
	}
	out.result(result)
	return nil
}

// request turns the flags into what the library takes.
func (o *pullOptions) request(env *Env) (r apply.Request, maxBytes int64, err error) {
	if len(o.mirrors) == 0 {
		return r, 0, fmt.Errorf("%s needs a MIRROR: a URL or a folder", o.command())
	}
	if o.slot == "" && len(o.artifacts) == 0 && !o.planOnly && !o.configured {
		return r, 0, errors.New("pull needs --slot PATH")
	}
	if o.parallel < 1 || o.parallel > 64 {
		return r, 0, fmt.Errorf("--parallel %d: want 1 to 64", o.parallel)
	}
	if err := o.trust.check(); err != nil {
		return r, 0, err
	}
	rate, err := parseBytes("--limit-rate", o.limitRate)
	if err != nil {
		return r, 0, err
	}
	if maxBytes, err = parseBytes("--max-bytes", o.maxBytes); err != nil {
		return r, 0, err
	}
	r = apply.Request{
		Channel: o.channel, Version: o.version, Compatible: o.compatible,
		Seeds: o.seeds, StateDir: o.state, Parallel: o.parallel, PlanOnly: o.planOnly,
		RateLimit: float64(rate), Outputs: map[string]string{}, Optimize: delta.Optimize(o.optimize),
		Route: delta.Route(o.route),
	}
	if r.Optimize != delta.ForTime && r.Optimize != delta.ForBytes {
		return r, 0, fmt.Errorf("--optimize %q: want time or bytes", o.optimize)
	}
	if r.Route != "" && !slices.Contains(delta.Routes(), r.Route) {
		return r, 0, fmt.Errorf("--route %q: want patch, chunks, blocks or whole", o.route)
	}
	if r.Line.RTT = o.rtt; o.rtt < 0 {
		return r, 0, fmt.Errorf("--rtt %v: want a time", o.rtt)
	}
	if r.Line.Rate, err = parseRate("--bandwidth", o.bandwidth); err != nil {
		return r, 0, err
	}
	r.Line.Rate *= payloadShare
	for _, a := range o.artifacts {
		name, file, ok := strings.Cut(a, "=")
		if !ok || name == "" || file == "" {
			return r, 0, fmt.Errorf("--artifact %q: want NAME=FILE", a)
		}
		r.Outputs[name] = file
	}
	if r.StateDir == "" {
		r.StateDir, err = apply.DefaultStateDir(os.Geteuid(), env.Getenv)
	}
	return r, maxBytes, err
}

func (o *pullOptions) command() string {
	if o.planOnly {
		return "plan"
	}
	return "pull"
}

// rateSyntax is a number, a power of a thousand, and the unit: bits as in 1mbit or 1m, or bytes as in 500kB.
var rateSyntax = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)([kKmMgG]?)(|bit|bps|bit/s|B|B/s)$`)

// parseRate reads a line's rate and gives bytes per second; "" is 0.
func parseRate(flag, s string) (float64, error) {
	if s == "" {
		return 0, nil
	}
	parts := rateSyntax.FindStringSubmatch(s)
	if parts == nil {
		return 0, fmt.Errorf("%s %q: want bits per second such as 1mbit, or bytes such as 500kB", flag, s)
	}
	n, err := strconv.ParseFloat(parts[1], 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s %q: want a rate above 0", flag, s)
	}
	n *= map[string]float64{"": 1, "k": 1e3, "m": 1e6, "g": 1e9}[strings.ToLower(parts[2])]
	if !strings.HasPrefix(parts[3], "B") {
		n /= 8
	}
	return n, nil
}

// parseBytes reads 200k or 50M (powers of ten) or 50MiB; "" is 0.
func parseBytes(flag, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := humanize.ParseBytes(s)
	if err != nil || n == 0 || n > 1<<62 {
		return 0, fmt.Errorf("%s %q: want a number of bytes above 0, such as 200k or 50M", flag, s)
	}
	return int64(n), nil
}
