package device

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"deltaup/internal/durable"
	"deltaup/internal/human"
	"deltaup/slotboot/counted"
)

// maxNotice is how long a line of a notice may be, in bytes.
const maxNotice = 600

// The files that tell people and programs that a reboot waits, or that the machine has fallen back.
// They are in /run, and so a reboot removes them.
const (
	motdFile     = "/run/motd.d/50-deltaup"  // pam_motd shows it at log-in
	rebootMarker = "/run/reboot-required"    // Debian's, that monitoring looks for
	noticeTmp    = "/run/deltaup/notice.tmp" // on the same file system
	noDataFile   = "/run/deltaup/nodata"     // the initramfs's
	noDataTold   = "/run/deltaup/nodata.told"
)

// notify tells those who are logged in, or will be, that a reboot waits.
func (d *Device) notify(ctx context.Context, text string) error {
	text = "deltaup: " + human.Line(text, maxNotice) + "\n"
	troubles, err := d.troubles(ctx)
	if err != nil {
		return err
	}
	if err := d.writeNotice(motdFile, text+troubles); err != nil {
		return err
	}
	if err := d.writeNotice(rebootMarker, text); err != nil {
		return err
	}
	if filepath.Clean(d.path("/")) != "/" {
		return nil // on another machine's root: nobody who is logged in here is on that machine
	}
	wall, err := exec.LookPath("wall")
	if err != nil {
		return nil // a machine without terminals
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := exec.CommandContext(ctx, wall, text).Run(); err != nil {
		return fmt.Errorf("notice: wall: %w", err)
	}
	return nil
}

func (d *Device) writeNotice(path, text string) error {
	err := durable.WriteFile(d.path(noticeTmp), d.path(path), func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		return fmt.Errorf("notice: %w", err)
	}
	return nil
}

// troubles are the lines of what this boot lacks, or "".
func (d *Device) troubles(ctx context.Context) (string, error) {
	state, err := d.loader.Read()
	if err != nil {
		return "", err
	}
	r, err := d.records()
	if err != nil {
		return "", err
	}
	f := d.fellBack(ctx, state, r)
	text := ""
	if f != nil {
		text = "deltaup: " + human.Line(f.String(), maxNotice) + "\n"
	}
	if lacks := d.noData(); lacks != "" {
		text += "deltaup: " + human.Line(lacks, maxNotice) + "\n"
	}
	for _, other := range d.others(ctx) {
		text += "deltaup: " + human.Line(other, maxNotice) + "\n"
	}
	return text, nil
}

// noData is what the initramfs says of a data partition that it had to do without, or "".
func (d *Device) noData() string {
	f, err := os.Open(d.path(noDataFile))
	if err != nil {
		return ""
	}
	defer f.Close() // read only
	b, err := io.ReadAll(io.LimitReader(f, maxReason))
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

// others are the lines of Others.
func (d *Device) others(ctx context.Context) []string {
	if d.Others == nil {
		return nil
	}
	return d.Others(ctx)
}

// String says it in a line.
func (f *Fallback) String() string {
	return fmt.Sprintf("slot %s was given up: %s", f.Slot, f.Reason)
}

// noticeNext brings the notice in line with what boots next.
func (d *Device) noticeNext(ctx context.Context) error {
	booted, err := d.bootedOrNone()
	if err != nil {
		return err
	}
	state, err := d.loader.Read()
	if err != nil {
		return err
	}
	if state.FellBack() == "" {
		if err := d.untell(); err != nil {
			return err
		}
	}
	if n := state.Next(); n != booted && n != "" {
		return d.notify(ctx, fmt.Sprintf("slot %s boots at the next restart", n))
	}
	if err := durable.Remove(d.path(rebootMarker)); err != nil {
		return err
	}
	return d.writeTroubles(ctx)
}

// RefreshNotice brings what people see who log in up to date, unless a reboot waits: then it says
// that. Something can have changed since the boot, such as settings.
func (d *Device) RefreshNotice(ctx context.Context) error {
	booted, err := d.bootedOrNone()
	if err != nil {
		return err
	}
	state, err := d.loader.Read()
	if err != nil {
		return err
	}
	if n := state.Next(); n != booted && n != "" {
		return nil
	}
	return d.writeTroubles(ctx)
}

// writeTroubles puts what this boot lacks into the notice, or removes that.
func (d *Device) writeTroubles(ctx context.Context) error {
	troubles, err := d.troubles(ctx)
	if err != nil {
		return err
	}
	if troubles == "" {
		return durable.Remove(d.path(motdFile))
	}
	return d.writeNotice(motdFile, troubles)
}

// Notice tells what went wrong in the boots before this one: once to the hooks, to those who log
// in, and as lines for the journal.
func (d *Device) Notice(ctx context.Context) (lines []string, err error) {
	state, unread := d.loader.Read()
	var f *Fallback
	var late counted.Fault
	if unread == nil {
		f, late, err = d.observe(ctx, state)
	}
	if late.Slot != "" {
		lines = append(lines,
			fmt.Sprintf("slot %s boots again: %s", late.Slot, describeFault(late)))
	}
	if f != nil {
		lines = append(lines, f.String())
		for _, line := range f.Console {
			lines = append(lines, "    "+line)
		}
	}
	if lacks := d.noData(); lacks != "" {
		lines = append(lines, lacks)
		err = errors.Join(err, d.tellNoData(ctx, lacks))
	}
	lines = append(lines, d.others(ctx)...)
	if unread != nil { // nor is it known what boots next
		return lines, errors.Join(unread, err)
	}
	return lines, errors.Join(err, d.noticeNext(ctx))
}

// tellNoData tells the hooks, once a boot, that the data partition is missing.
func (d *Device) tellNoData(ctx context.Context, lacks string) error {
	if _, err := os.Stat(d.path(noDataTold)); err == nil {
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
	return errors.Join(d.writeNotice(noDataTold, lacks+"\n"),
		d.hooks(ctx, "no-data", booted, r.slot(booted).Version, lacks))
}
