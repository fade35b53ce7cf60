// Package grub writes the part of grub.cfg that boots slots by the rules of package
// counted: [Config.Part] for a grub.cfg of somebody else's, which gets entries among
// others, [Config.Whole] for a machine that boots nothing else, and
// [Config.Generator] for Debian's /etc/grub.d.
//
// The kernel of a slot gets deltaup.slot=NAME, and deltaup.fellback=NAME on a boot for
// which GRUB wanted to boot another slot and could not, or would not any more.
package grub

import (
	"errors"
	"time"

	"deltaup/slotboot/counted"
)

// ErrConfig is wrapped when a Config cannot be written as a script.
var ErrConfig = errors.New("grub configuration")

// ID is the id of the entry that boots by the counted state; those of single slots
// are ID-NAME. GRUB_DEFAULT=deltaup makes it the default of a Debian grub.cfg.
const ID = "deltaup"

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

	// Preamble is put in front of a whole grub.cfg as it is, such as the settings of a serial console.
	Preamble []string
}

// Names are the slots as package counted wants them.
func (c *Config) Names() counted.Slots { return nil }

// Validate wraps ErrConfig when the configuration cannot be written.
func (c *Config) Validate() error { return errNotBuilt }

// Part is a script for "source": functions and menu entries. It neither sets the default nor the
// time-out, and boots nothing until its entry is chosen.
func (c *Config) Part() ([]byte, error) { return nil, errNotBuilt }

// Whole is a grub.cfg that boots the counted entry at once, without a menu.
func (c *Config) Whole() ([]byte, error) { return nil, errNotBuilt }

// Generator is a shell script for /etc/grub.d that prints Part.
func (c *Config) Generator() ([]byte, error) { return nil, errNotBuilt }
