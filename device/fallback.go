package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"deltaup/internal/durable"
	"deltaup/internal/plainfile"
	"deltaup/slotboot/counted"
)

// describeOutcome says how the boot loader ended a trial.
func (d *Device) describeOutcome(o counted.Outcome) string {
	switch o {
	case counted.Unconfirmed:
		return "it was not marked good in any of its boots"
	case counted.Unloadable:
		return d.loader.Name() + " could not load its kernel or initrd"
	}
	return ""
}

// faults says what the words of the initramfs mean.
var faults = map[string]string{
	counted.FaultMissing: "its file was not there",
	counted.FaultImage:   "its image is no squashfs, or was not written to its end",
	counted.FaultDevice:  "its device did not appear",
	counted.FaultMount:   "the file system that holds it could not be mounted",
	counted.FaultRead:    "its medium could not be read",
	counted.FaultKernel:  "its kernel and initrd could not mount it",
	counted.FaultData:    "the data partition was missing or could not be mounted",
}

// describeFault says what the initramfs noted.
func describeFault(f counted.Fault) string {
	text := faults[f.Why]
	if text == "" {
		text = "the initramfs could not boot it (" + f.Why + ")"
	}
	if !counted.Definite(f.Why) {
		text += fmt.Sprintf(", in %d boots in a row", f.Boots)
	}
	return text
}

// recentFault is how old a console may be to count as that of a boot that ended in the initramfs.
const recentFault = time.Hour

// Fallback is a slot that the machine runs without.
type Fallback struct {
	Slot    string    `json:"slot"`
	Order   int64     `json:"order"`             // of the installation that failed
	Time    time.Time `json:"time"`              // when it was noticed
	Reason  string    `json:"reason"`            // what the boot loader or the initramfs saw
	Console []string  `json:"console,omitempty"` // the last lines before the machine restarted
}

// fellBack describes the fallback that the state shows: as it was told before, or as far as it can
// be explained now. It is nil when there is none.
func (d *Device) fellBack(ctx context.Context, state counted.State, r *records) *Fallback {
	slot := state.FellBack()
	if slot == "" {
		return nil
	}
	rec := r.slot(slot)
	if f := d.told(); f != nil && f.Slot == slot && f.Order == rec.Order {
		return f
	}
	f := &Fallback{Slot: slot, Order: rec.Order, Time: time.Now().UTC().Truncate(time.Second)}
	failed := r.failure(rec.Image)
	switch {
	case state.Fault.Slot == slot && state.Fault.Why != counted.FaultData && state.IsBad(slot):
		f.Reason = describeFault(state.Fault)
		f.Console = d.Machine.LastConsole(ctx, "", time.Now().Add(-recentFault))
	case slot == state.Active:
		f.Reason = "the initramfs could not boot it"
	case failed != nil && !rec.Image.IsZero():
		f.Reason, f.Console = failed.Reason, failed.Console
	default:
		f.Reason = d.describeOutcome(state.Ended)
		f.Console = d.Machine.LastConsole(ctx, slot, rec.Installed)
	}
	return f
}

// observe notes what the boot loader and the initramfs did since the last look, and tells a
// fallback to the hooks, once. It remembers a release that did not survive its trial, with the last
// lines of the console, so that no update installs it again. The release of a slot that was good
// before is not remembered: the medium is to blame.
//
// observe gives the fallback, nil when there is none, and the fault of the running slot in the
// boots before this one.
func (d *Device) observe(ctx context.Context, state counted.State) (*Fallback, counted.Fault, error) {
	late, err := d.settle(ctx, state)
	if err != nil {
		return nil, late, err
	}
	r, err := d.records()
	if err != nil {
		return nil, late, err
	}
	f := d.fellBack(ctx, state, r)
	if f == nil {
		return nil, late, d.untell()
	}
	if told := d.told(); told != nil && told.Slot == f.Slot && told.Order == f.Order {
		return f, late, nil
	}
	rec := r.slot(f.Slot)
	known := false // and so its bad event was told
	if f.Slot != state.Active {
		known = !rec.Image.IsZero() && r.failure(rec.Image) != nil
		err = d.changeRecords(func(r *records) error {
			r.fail(f.Slot, f.Reason, f.Console)
			return nil
		})
	}
	// Where nothing can be kept, as on a machine without its data partition, the hooks are told at
	// each boot.
	err = errors.Join(err, d.tell(f))
	if known {
		return f, late, err
	}
	return f, late, errors.Join(err, d.hooks(ctx, "fallback", f.Slot, rec.Version, f.Reason))
}

// settle forgets the fault of a slot that has booted after all. While the data partition is missing
// its fault stays, so that the next boot does not begin to count again.
func (d *Device) settle(ctx context.Context, state counted.State) (counted.Fault, error) {
	fault := state.Fault
	booted, err := d.Booted()
	if err != nil || booted == "" { // the doctor tells of a running slot that is in doubt
		return counted.Fault{}, nil
	}
	if fault.Why == counted.FaultData {
		if d.noData() != "" {
			return counted.Fault{}, nil
		}
	} else if booted != fault.Slot || state.IsBad(booted) {
		return counted.Fault{}, nil
	}
	_, err = d.loader.Change(ctx,
		func(s counted.State) (counted.State, error) { return s.Settled(booted), nil })
	return fault, err
}

// maxTold bounds the file of the fallback that was told, in bytes.
const maxTold = 64 << 10

func (d *Device) toldPath() string { return filepath.Join(d.state(), "fallback.json") }

// told is the fallback that was told last. It is nil when there is none, or when the file cannot be
// read: then it is told again.
func (d *Device) told() *Fallback {
	b, err := plainfile.Read(d.toldPath(), maxTold)
	if err != nil {
		return nil
	}
	return parseTold(b)
}

// parseTold decodes fallback.json. It is nil for anything else.
func parseTold(b []byte) *Fallback {
	var f Fallback
	if json.Unmarshal(b, &f) != nil || f.Slot == "" || f.Order < 0 || len(f.Reason) > maxReason ||
		len(f.Console) > maxConsole {
		return nil
	}
	return &f
}

// tell remembers a fallback as told.
func (d *Device) tell(f *Fallback) error {
	kept := *f
	kept.Reason = cutReason(f.Reason)
	b, err := json.MarshalIndent(kept, "", "  ")
	if err != nil {
		return err
	}
	unlock, err := d.lockState()
	if err != nil {
		return err
	}
	defer unlock()
	return d.replace(d.toldPath(), append(b, '\n'))
}

// untell forgets the fallback that was told. So the next one is told, even of the same
// installation.
func (d *Device) untell() error {
	if d.told() == nil {
		return nil
	}
	return durable.Remove(d.toldPath())
}
