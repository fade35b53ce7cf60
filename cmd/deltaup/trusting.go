package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"deltaup/apply"
	"deltaup/internal/plainfile"
	"deltaup/slotboot/machine"
	"deltaup/trust"
)

// rootPlaces are where an image may hold the root of its publisher; the first that exists counts.
var rootPlaces = []string{"/etc/deltaup/root.json", "/usr/lib/deltaup/root.json"}

// maxRootFile is more than any root has.
const maxRootFile = 1 << 20

// trustOptions are the flags of all commands that read a mirror as a target.
type trustOptions struct {
	root          string
	insecure      bool
	downgrade     bool
	acceptExpired string
	sysroot       string // below which the image lies; "": the running one
}

func (o *trustOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(
		&o.root,
		"root",
		"",
		"`FILE` with the root of the publisher to trust (default: what --state trusts, or else "+strings.Join(
			rootPlaces,
			", ",
		)+")",
	)
	f.BoolVar(&o.insecure, "insecure", false,
		"believe what the mirror says, signed or not; deltaup status tells of it for ever")
	f.BoolVar(&o.downgrade, "allow-downgrade", false,
		"permit a release older than the one that was installed")
	f.StringVar(
		&o.acceptExpired,
		"accept-expired",
		"",
		"accept signatures this long after they expired, as `TIME`: 90d or 12h; for sticks that were written long ago",
	)
}

// check looks at the flags alone.
func (o *trustOptions) check() error {
	if o.insecure && (o.root != "" || o.acceptExpired != "") {
		return errors.New("--insecure and --root or --accept-expired exclude each other")
	}
	_, err := parseDays("--accept-expired", o.acceptExpired)
	return err
}

// repository asks what the publisher says, for what is wanted; nil with --insecure, which is
// remembered when something is to be installed. When there is something new, r.Early begins.
func (o *trustOptions) repository(ctx context.Context, r *apply.Request,
	install bool) (*trust.Repository, error) {
	if o.insecure {
		r.Early.Begin()
	}
	switch {
	case o.insecure && install:
		return nil, trust.MarkInsecure(r.StateDir, time.Now())
	case o.insecure:
		return nil, nil
	}
	grace, err := parseDays("--accept-expired", o.acceptExpired)
	if err != nil {
		return nil, err
	}
	root, err := o.readRoot()
	if err != nil {
		return nil, err
	}
	channel := r.Channel
	if r.Version != "" { // which need not be the channel's newest
		channel = ""
	}
	return trust.Refresh(
		ctx,
		trust.Options{
			Client:    r.Client,
			State:     r.StateDir,
			Channel:   channel,
			Blockmap:  r.Early.WantsBlockmap(),
			Found:     r.Early.Begin,
			Root:      root,
			Grace:     grace,
			Downgrade: o.downgrade,
		},
	)
}

// readRoot reads the root that was given, or the image's; nil when there is none.
func (o *trustOptions) readRoot() ([]byte, error) {
	if o.root != "" {
		return readRootFile(o.root)
	}
	for _, path := range rootPlaces {
		b, err := readRootFile(machine.Machine{Root: o.sysroot}.Path(path))
		if !errors.Is(err, fs.ErrNotExist) {
			return b, err
		}
	}
	return nil, nil
}

func readRootFile(path string) ([]byte, error) {
	b, err := plainfile.Read(path, maxRootFile)
	if errors.Is(err, plainfile.ErrTooLong) {
		err = fmt.Errorf("%w: %w", trust.ErrMalformed, err)
	}
	return b, err
}

// parseDays reads 90d, or what Go takes for a duration; "" is 0.
func parseDays(flag, s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s %q: want a time such as 90d or 12h", flag, s)
	}
	return d, nil
}
