package grub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"deltaup/internal/plainfile"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grubenv"
	"deltaup/slotboot/loader"
)

// ReadState is the state in the environment block at path.
func ReadState(path string, slots counted.Slots) (counted.State, error) {
	if err := slots.Validate(); err != nil {
		return counted.State{}, err
	}
	block, err := grubenv.Read(path)
	if err != nil {
		return counted.State{}, blockError(err)
	}
	return StateOf(block, slots), nil
}

// ChangeState applies a transition to the state in the environment block at path, and stores what
// it returns by one write in place. Nothing is written when nothing changes, or the transition
// fails. Other users of the block are locked out meanwhile. It gives the new state.
func ChangeState(ctx context.Context, path string, slots counted.Slots,
	t counted.Transition) (counted.State, error) {
	if err := slots.Validate(); err != nil {
		return counted.State{}, err
	}
	var s counted.State
	err := grubenv.Change(ctx, path, func(block *grubenv.Block) (err error) {
		s, err = change(block, slots, t)
		return err
	})
	return s, blockError(err)
}

// blockError has an error of the environment block say that it is one.
func blockError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return loader.Mark(fmt.Errorf("no environment block: %w", err), loader.ErrNone)
	case errors.Is(err, grubenv.ErrMalformed), errors.Is(err, plainfile.ErrKind):
		return loader.Mark(fmt.Errorf("environment block: %w", err), loader.ErrDamaged)
	}
	return err
}
