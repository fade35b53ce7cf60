package device

import (
	"context"
	"errors"

	"deltaup/internal/undo"
	"deltaup/slotboot/loader"
)

// ErrNoActive is wrapped when nobody says which slot boots at first.
var ErrNoActive = errors.New("which slot boots at first?")

// SetupOptions say what a setup writes, and which slot boots at first.
type SetupOptions struct {
	// Outputs are paths of files to write, by what they are; see the boot loader's package. When
	// there are none the boot loader chooses.
	Outputs map[string]string
	// Active boots at first, when the machine runs from no slot and no slot is active yet.
	Active string
}

// Setup prepares the boot loader: it makes the boot loader's state or mends it, has the running
// slot boot at first, marks empty slots bad, and has the boot loader start slots by that state. It
// can be repeated; what the state says of slots stays. While all slots are empty none boots at
// first: the first installation makes one. Setup gives the files that it has written. After an
// error everything is as it was before.
func (d *Device) Setup(ctx context.Context, o SetupOptions) (files []string, err error) {
	if o.Active != "" {
		if _, err := d.slot(o.Active); err != nil {
			return nil, err
		}
	}
	if err := d.loader.Check(); err != nil {
		return nil, err
	}
	booted, err := d.bootedOrNone()
	if err != nil {
		return nil, err
	}
	var u undo.List
	defer func() {
		if err != nil {
			files, err = nil, errors.Join(err, u.Run())
		}
	}()
	files, err = d.loader.Setup(ctx, loader.Setup{
		First:   d.first(booted, o.Active),
		Outputs: o.Outputs,
		Undo:    &u,
	})
	if err != nil {
		return nil, err
	}
	for _, s := range d.Config.Slots {
		if err := u.MkdirAll(d.path(s.Boot)); err != nil {
			return nil, err
		}
	}
	if s := d.Config.Slot(booted); s != nil {
		if err := d.guardRecords(&u); err != nil {
			return nil, err
		}
		if err := errors.Join(d.know(s), d.knowFiles(s)); err != nil {
			return nil, err
		}
	}
	return files, nil
}
