package device

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"time"

	"deltaup/internal/durable"
	"deltaup/internal/human"
)

// maxNotice is how long a notice may be, in bytes.
const maxNotice = 500

// What tells people and programs that a reboot waits. All of it is in /run, and so is gone after that.
const (
	motdFile     = "/run/motd.d/50-deltaup"  // pam_motd shows it at log-in
	rebootMarker = "/run/reboot-required"    // Debian's, that monitoring looks for
	noticeTmp    = "/run/deltaup/notice.tmp" // on the same file system
)

// notify tells those who are logged in, or will be, that a reboot waits.
func (d *Device) notify(ctx context.Context, text string) error {
	text = "deltaup: " + human.Line(text, maxNotice) + "\n"
	for _, path := range []string{motdFile, rebootMarker} {
		err := durable.WriteFile(d.path(noticeTmp), d.path(path), func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
		if err != nil {
			return fmt.Errorf("notice: %w", err)
		}
	}
	if filepath.Clean(d.path("/")) != "/" {
		return nil // those who are logged in here are not there
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

// noticeNext brings the notice in line with what boots next.
func (d *Device) noticeNext(ctx context.Context) error {
	booted, err := d.bootedOrNone()
	if err != nil {
		return err
	}
	state, err := d.counted()
	if err != nil {
		return err
	}
	if n := next(state); n != booted && n != "" {
		return d.notify(ctx, fmt.Sprintf("slot %s boots at the next restart", n))
	}
	for _, path := range []string{motdFile, rebootMarker} {
		if err := durable.Remove(d.path(path)); err != nil {
			return err
		}
	}
	return nil
}
