package device

import "context"

// Slot is the name of the slot that is written.
func (in *Installation) Slot() string { return in.target.Name }

// Observe is what every update begins with.
func (d *Device) Observe(ctx context.Context) error {
	state, err := d.loader.Read()
	if err == nil {
		_, _, err = d.observe(ctx, state)
	}
	return err
}
