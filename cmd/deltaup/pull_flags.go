package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"deltaup/apply"
	"deltaup/apply/state"
	"deltaup/delta"
	"deltaup/internal/chars"
	"deltaup/internal/human"
)

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
	memory     string
	timeout    time.Duration
	minRate    string
	parallel   int
	trust      trustOptions
	http       httpOptions

	configured bool // the machine's configuration says from where and where to
	fromConfig bool // the mirrors are the configuration's
	machine    machineOptions
	again      bool
	force      bool // activate the image whatever becomes of settings
	repair     bool // the command is repair
}

// addUpdateFlags adds the flags of commands that write.
func (o *pullOptions) addUpdateFlags(f *pflag.FlagSet) {
	o.machine.addFlags(f)
	f.BoolVar(&o.again, "again", false, "install a release that was rolled back all the same")
	f.BoolVar(&o.force, "settings-force", false,
		"activate an image also when its list refuses to merge the machine's settings")
	f.BoolVar(&o.dryRun, "dry-run", false,
		"say what would be fetched, and change nothing but the state folder")
	f.BoolVar(&o.json, "json", false, "print events as JSON, one a line")
	f.BoolVar(&o.quiet, "quiet", false, "print nothing but errors")
}

// addSourceFlags adds the flags that say what is pulled, from what and where to.
func (o *pullOptions) addSourceFlags(f *pflag.FlagSet) {
	f.StringVar(&o.slot, "slot", "", "file or block device to write the image to")
	f.StringArrayVar(&o.seeds, "seed", nil, "image or file to take content from; may be repeated")
	f.StringVar(&o.channel, "channel", "",
		"channel whose newest release is pulled (default: the configuration's, or stable)")
	f.StringVar(&o.version, "version", "", "release to pull instead of the channel's newest")
	f.StringVar(&o.compatible, "compatible", "",
		"what this machine is; a release made for others is refused")
	f.StringArrayVar(
		&o.artifacts,
		"artifact",
		nil,
		"write an artifact beside the image (kernel, initrd, a raw one) to a file, as `NAME=FILE`; may be repeated",
	)
	f.StringArrayVar(&o.mirrors, "mirror", nil,
		"a further mirror, as the arguments; may be repeated")
	o.trust.addFlags(f)
	f.StringVar(
		&o.state,
		"state",
		"",
		"`DIR` for what outlives a run (default /var/lib/deltaup for root, else below ~/.local/state)",
	)
}

// addLineFlags adds the flags that say how the line is and how much of it may be used.
func (o *pullOptions) addLineFlags(f *pflag.FlagSet) {
	f.StringVar(&o.bandwidth, "bandwidth", "",
		"what the line carries, as `RATE`: 1mbit, 2.5gbit, or in bytes 500kB (default: measured)")
	f.DurationVar(&o.rtt, "rtt", 0, "a round trip to the mirror, such as 50ms (default: measured)")
	f.StringVar(&o.optimize, "optimize", "time", "what to keep small: `time` or bytes")
	f.StringVar(&o.route, "route", "",
		fmt.Sprintf("take only this `ROUTE`: %s (default: the best)", anyOf(apply.Routes())))
	f.StringVar(&o.limitRate, "limit-rate", "", "fetch no more than `BYTES` a second, such as 200k")
	f.StringVar(&o.maxBytes, "max-bytes", "", "refuse to fetch more than `BYTES`, such as 50M")
	f.DurationVar(&o.timeout, "timeout", time.Minute,
		"give up on a server that sends nothing for so long")
	f.StringVar(&o.minRate, "min-rate", "64",
		"give up on a server that sends fewer than `BYTES` a second")
	o.http.addFlags(f)
	f.StringVar(&o.memory, "memory", "",
		"aim at `BYTES` of memory, such as 48M, or take as many where that saves bytes, such as 1G (default: 64 to 128 MiB)")
	f.IntVar(&o.parallel, "parallel", delta.DefaultParallel, "requests under way at once")
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
	memory, err := parseBytes("--memory", o.memory)
	if err != nil {
		return r, 0, err
	}
	r = apply.Request{
		Memory:  memory,
		Channel: o.channel, Version: o.version, Compatible: o.compatible,
		Seeds: o.seeds, StateDir: o.state, Parallel: o.parallel, PlanOnly: o.planOnly,
		RateLimit: float64(
			rate,
		), Outputs: map[string]string{}, Optimize: delta.Optimize(o.optimize),
		Route: delta.Route(o.route),
	}
	if r.Optimize != delta.ForTime && r.Optimize != delta.ForBytes {
		return r, 0, fmt.Errorf("--optimize %q: want time or bytes", o.optimize)
	}
	if r.Route != "" && !slices.Contains(apply.Routes(), r.Route) {
		return r, 0, fmt.Errorf("--route %q: want %s", o.route, anyOf(apply.Routes()))
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
		r.StateDir, err = state.DefaultDir(os.Geteuid(), env.Getenv)
	}
	return r, maxBytes, err
}

func (o *pullOptions) command() string {
	switch {
	case o.planOnly:
		return "plan"
	case o.repair:
		return "repair"
	}
	return "pull"
}

// anyOf lists routes for people: a, b or c.
func anyOf(routes []delta.Route) string {
	var s strings.Builder
	for i, r := range routes {
		switch {
		case i == 0:
		case i < len(routes)-1:
			s.WriteString(", ")
		default:
			s.WriteString(" or ")
		}
		s.WriteString(string(r))
	}
	return s.String()
}

// parseRate reads a line's rate and gives bytes per second; "" is 0. A rate is a number, a power of
// a thousand, and the unit: bits as in 1mbit or 1m, or bytes as in 500kB.
func parseRate(flag, s string) (float64, error) {
	if s == "" {
		return 0, nil
	}
	number, rest := chars.Cut(s, chars.Digits+".")
	power, unit := chars.Cut(rest, "kKmMgG")
	whole, fraction, isFraction := strings.Cut(number, ".")
	if !chars.Some(whole, chars.Digits) || isFraction && !chars.Some(fraction, chars.Digits) ||
		len(power) > 1 || !slices.Contains([]string{"", "bit", "bps", "bit/s", "B", "B/s"}, unit) {
		return 0, fmt.Errorf("%s %q: want bits per second such as 1mbit, or bytes such as 500kB",
			flag, s)
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s %q: want a rate above 0", flag, s)
	}
	n *= map[string]float64{"": 1, "k": 1e3, "m": 1e6, "g": 1e9}[strings.ToLower(power)]
	if !strings.HasPrefix(unit, "B") {
		n /= 8
	}
	return n, nil
}

// parseBytes reads 200k or 50M (powers of ten) or 50MiB; "" is 0.
func parseBytes(flag, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := human.ParseSize(s)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s %q: want a number of bytes above 0, such as 200k or 50M", flag, s)
	}
	return n, nil
}
