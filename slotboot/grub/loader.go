package grub

import (
	"context"
	"errors"
	"path/filepath"

	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grubenv"
	"deltaup/slotboot/loader"
	"deltaup/slotboot/machine"
)

// argEnv is the kernel argument with the deltaup_id of the environment block that GRUB read.
const argEnv = "deltaup.env"

// ArgGrubenv is the kernel argument by which the initramfs finds that block: UUID=UUID:/PATH.
const ArgGrubenv = "deltaup.grubenv"

// Loader is the GRUB of one machine. It implements device.Loader.
type Loader struct {
	machine machine.Machine
	config  *config.Config
}

// New is the GRUB of a machine. It fails with a [config.Error] when the path of the environment
// block goes round in symbolic links.
func New(m machine.Machine, c *config.Config) (*Loader, error) {
	if _, err := m.Resolve(c.Boot.Grubenv); errors.Is(err, unix.ELOOP) {
		return nil, &config.Error{File: c.File, Key: "boot.grubenv",
			Text: c.Boot.Grubenv + " goes round in symbolic links"}
	}
	return &Loader{m, c}, nil
}

// Name is what people call it.
func (l *Loader) Name() string { return "GRUB" }

// Read gives the state in the environment block.
func (l *Loader) Read() (counted.State, error) {
	return ReadState(l.machine.Path(l.config.Boot.Grubenv), l.config.Names())
}

// Change applies a transition to the state in the environment block.
func (l *Loader) Change(ctx context.Context, t counted.Transition) (counted.State, error) {
	return ChangeState(ctx, l.machine.Path(l.config.Boot.Grubenv), l.config.Names(), t)
}

// Create makes the environment block, or mends what is there, and applies the transition.
func (l *Loader) Create(ctx context.Context, t counted.Transition) error {
	if err := durable.MkdirAll(filepath.Dir(l.blockPath())); err != nil {
		return err
	}
	place, err := l.find()
	if err != nil {
		return err
	}
	return l.apply(ctx, place, t)
}

// apply writes the block with what the transition makes of its state.
func (l *Loader) apply(ctx context.Context, place *grubenv.Place, t counted.Transition) error {
	return blockError(place.Apply(ctx, func(b *grubenv.Block) error {
		_, err := change(b, l.config.Names(), t)
		return err
	}))
}

// find looks at what lies in the place of the environment block.
func (l *Loader) find() (*grubenv.Place, error) {
	place, err := grubenv.Find(l.blockPath())
	if errors.Is(err, grubenv.ErrForeign) {
		err = loader.Mark(err, loader.ErrForeign)
	}
	return place, err
}

// blockPath is where the environment block lies or is to be made, behind all symbolic links.
func (l *Loader) blockPath() string {
	path, err := l.machine.Resolve(l.config.Boot.Grubenv)
	if err != nil {
		return l.machine.Path(l.config.Boot.Grubenv)
	}
	return path
}
