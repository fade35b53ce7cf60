// Package grub writes the part of grub.cfg that boots slots by the rules of package
// counted: [Config.Part] for a grub.cfg of somebody else's, which gets entries among
// others, [Config.Whole] for a machine that boots nothing else, and
// [Config.Generator] for Debian's /etc/grub.d.
//
// The kernel of a slot gets deltaup.slot=NAME and, by the counted entry, what else
// [counted.Choice.Args] says.
package grub

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"deltaup/slotboot/counted"
)

// ErrConfig is wrapped when a Config cannot be written as a script.
var ErrConfig = errors.New("grub configuration")

// ID is the id of the entry that boots by the counted state; those of single slots
// are ID-NAME. GRUB_DEFAULT=deltaup makes it the default of a Debian grub.cfg.
const ID = "deltaup"

// defaultPanic is long enough to read a panic on a console.
const defaultPanic = 30 * time.Second

// Slot is where GRUB finds one slot's kernel. Paths begin at the root of the BOOT file system.
type Slot struct {
	Name   string
	Kernel string   // such as /deltaup/a/vmlinuz
	Initrd string   // such as /deltaup/a/initrd.img
	Args   []string // of this slot's kernel only
}

// Config describes one machine. Words may hold letters, digits and -_.,:=/@%+ only.
type Config struct {
	Slots []Slot
	UUID  string        // of the BOOT file system; empty: the one that GRUB was started from
	Env   string        // path of the environment block on BOOT, such as /deltaup/grubenv
	Args  []string      // of every kernel
	Panic time.Duration // after which a kernel that panics reboots, in whole seconds; 0: 30 s

	// Preamble is put in front of a whole grub.cfg as it is, such as the settings of a serial
	// console.
	Preamble []string
}

// Names are the slots as package counted wants them.
func (c *Config) Names() counted.Slots {
	names := make(counted.Slots, len(c.Slots))
	for i, s := range c.Slots {
		names[i] = s.Name
	}
	return names
}

var (
	word = regexp.MustCompile(`^[A-Za-z0-9_.,:=/@%+-]+$`)
	path = regexp.MustCompile(`^(/[A-Za-z0-9_.,:=@%+-]+)+$`)
	uuid = regexp.MustCompile(`^[A-Fa-f0-9-]{9,36}$`)
)

// Validate wraps ErrConfig when the configuration cannot be written.
func (c *Config) Validate() error {
	if err := c.Names().Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if c.UUID != "" && !uuid.MatchString(c.UUID) {
		return fmt.Errorf("%w: %q is not a UUID", ErrConfig, c.UUID)
	}
	if c.Panic < 0 || c.Panic%time.Second != 0 {
		return fmt.Errorf("%w: panic after %v, which is not in whole seconds", ErrConfig, c.Panic)
	}
	paths, words := []string{c.Env}, slices.Clone(c.Args)
	for _, s := range c.Slots {
		paths = append(paths, s.Kernel, s.Initrd)
		words = append(words, s.Args...)
	}
	for _, p := range paths {
		if !path.MatchString(p) {
			return fmt.Errorf("%w: %q is not a plain absolute path", ErrConfig, p)
		}
	}
	for _, w := range words {
		if !word.MatchString(w) {
			return fmt.Errorf("%w: kernel argument %q has characters that GRUB would interpret",
				ErrConfig, w)
		}
	}
	return nil
}

// args are the arguments of one slot's kernel, those of the boot itself left out.
func (c *Config) args(s Slot) string {
	after := c.Panic
	if after == 0 {
		after = defaultPanic
	}
	args := []string{fmt.Sprintf("panic=%d", after/time.Second)}
	return strings.Join(slices.Concat(args, c.Args, s.Args), " ")
}
