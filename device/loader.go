package device

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/loader"
	"deltaup/slotboot/machine"
)

// Loader is the boot loader of one machine: it keeps the state of counted boot, counts tries while
// no system runs, and starts slots by that state. Package loader has the words of this interface;
// package loadertest has the tests that every implementation passes.
type Loader interface {
	// Name is what people call it.
	Name() string

	// Read gives the state. It wraps loader.ErrNone before the first setup, and loader.ErrDamaged
	// for a state that cannot be used.
	Read() (counted.State, error)

	// Change replaces the state by the one that t gives. Other changes wait meanwhile. It writes
	// nothing when nothing changes or t fails; an error of t is given as it is. After a success the
	// boot loader sees the new state, even after a power cut. After an error or a power cut within
	// Change it sees the old state or the new one.
	Change(ctx context.Context, t counted.Transition) (counted.State, error)

	// Check tells whether a setup is possible. It wraps loader.ErrUnfit when the boot loader cannot
	// use a state where the configuration has it, loader.ErrUnknown when that cannot be found out,
	// and loader.ErrForeign when something else lies there.
	Check() error

	// Create makes the state, or mends what is left of it, and applies t. The first installation of
	// a machine that nobody has set up needs it.
	Create(ctx context.Context, t counted.Transition) error

	// Setup is Check and Create, and has the boot loader start slots by the state. It can be
	// repeated. It gives the files that it has written.
	Setup(ctx context.Context, o loader.Setup) (files []string, err error)

	// Inspect tells the doctor what it finds, and changes nothing. Its advice for a state that is
	// damaged or missing is the command setup.
	Inspect(setup string) loader.Inspection
}

// Loaders make the boot loader of a machine, by what boot.loader calls it.
type Loaders map[string]func(machine.Machine, *config.Config) (Loader, error)

// open makes the configured boot loader. An unknown one is a [config.Error].
func (l Loaders) open(m machine.Machine, c *config.Config) (Loader, error) {
	if open := l[c.Boot.Loader]; open != nil {
		return open(m, c)
	}
	known := slices.Sorted(maps.Keys(l))
	text := fmt.Sprintf("%q is not known; only %s is", c.Boot.Loader, strings.Join(known, ""))
	if len(known) != 1 {
		text = fmt.Sprintf("%q is not known; known are %s", c.Boot.Loader,
			strings.Join(known, ", "))
	}
	return nil, &config.Error{File: c.File, Key: "boot.loader", Text: text}
}
