package device

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"deltaup/internal/durable"
	"deltaup/internal/plainfile"
	"deltaup/slotboot/scripts"
)

// hookFolder holds the programs that are told of what happens; see doc/slots.md.
const hookFolder = "/etc/deltaup/hook.d"

// HookError is a hook that failed. What the hook was told of is done all the same, unless the event
// is pre-install.
type HookError struct {
	event string
	hook  string // its name
	err   error
}

func (e *HookError) Error() string {
	return fmt.Sprintf("hook %s on %s: %v", e.hook, e.event, e.err)
}

func (e *HookError) Unwrap() error { return e.err }

// hooks runs the hooks with the variables of an event. It gives a HookError for the first of those
// that fail.
func (d *Device) hooks(ctx context.Context, event, slot, version, reason string) error {
	results, err := scripts.Run(ctx, d.path(hookFolder), d.variables(event, slot, version, reason),
		scripts.Timeout)
	if err != nil {
		return err
	}
	if failed := scripts.Failed(results); failed != nil {
		return &HookError{event, filepath.Base(failed.Path), failed.Err}
	}
	return nil
}

// settingsTold is the file in the state folder with the generation that hooks were told of last.
const settingsTold = "settings.told"

// TellSettings tells the hooks of a generation of settings, once.
func (d *Device) TellSettings(ctx context.Context, generation int) error {
	told := filepath.Join(d.state(), settingsTold)
	number := strconv.Itoa(generation)
	if b, err := plainfile.Read(told, 20); err == nil && string(b) == number+"\n" {
		return nil
	}
	booted, err := d.bootedOrNone()
	if err != nil {
		return err
	}
	r, err := d.records()
	if err != nil {
		return err
	}
	failed := d.hooks(ctx, "settings", booted, r.slot(booted).Version, "generation "+number)
	err = durable.WriteFile(d.state(), told, func(w io.Writer) error {
		_, err := io.WriteString(w, number+"\n")
		return err
	})
	return errors.Join(failed, err)
}

// variables are what hooks and checks find in their environment.
func (d *Device) variables(event, slot, version, reason string) []string {
	booted, _ := d.Booted() // "" is the right value when it is not known
	return []string{
		"DELTAUP_EVENT=" + event,
		"DELTAUP_SLOT=" + slot,
		"DELTAUP_VERSION=" + version,
		"DELTAUP_BOOTED=" + booted,
		"DELTAUP_REASON=" + reason,
		"DELTAUP_STATE=" + d.state(),
		"DELTAUP_ROOT=" + d.path("/"),
	}
}
