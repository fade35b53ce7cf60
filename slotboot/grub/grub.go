// Package grub boots slots with GRUB. [Loader] is the boot loader of one machine: it keeps the
// state of package counted in an environment block, and writes the scripts that GRUB runs.
//
// A [Script] is the part of grub.cfg that boots by the rules of counted boot: [Script.Part] for a
// grub.cfg of somebody else's, which gets entries among others, [Script.Whole] for a machine that
// boots nothing else. A setup also writes one for Debian's /etc/grub.d. doc/boot.md has the rules,
// the variables, and what GRUB cannot do.
package grub

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"deltaup/internal/chars"
	"deltaup/slotboot/counted"
)

// errScript is wrapped when a Script cannot be written in GRUB's language.
var errScript = errors.New("grub configuration")

// entryID is the id of the menu entry that boots by the counted state. Those of single slots are
// entryID-NAME. GRUB_DEFAULT=deltaup makes it the default of a Debian grub.cfg.
const entryID = "deltaup"

// defaultPanic is long enough to read a panic on a console.
const defaultPanic = 30 * time.Second

// Entry is how GRUB starts one slot. Paths begin at the root of the BOOT file system.
type Entry struct {
	Slot   string   // its name
	Kernel string   // such as /deltaup/a/vmlinuz
	Initrd string   // such as /deltaup/a/initrd.img
	Args   []string // of this slot's kernel only
}

// Script is what GRUB is told of one machine. Kernel arguments may hold letters, digits and
// -_.,:=/@%+ only.
type Script struct {
	Entries []Entry       // in the order in which they are tried when nothing else decides
	UUID    string        // of the BOOT file system; empty: the one that GRUB was started from
	Env     string        // path of the environment block on BOOT, such as /deltaup/grubenv
	Args    []string      // of every kernel
	Panic   time.Duration // after which a kernel that panics reboots, in whole seconds; 0: 30 s

	// Preamble are lines in front of a whole grub.cfg, such as the settings of a serial console.
	Preamble []string
}

// slots are the names of the slots.
func (s *Script) slots() counted.Slots {
	names := make(counted.Slots, len(s.Entries))
	for i, e := range s.Entries {
		names[i] = e.Slot
	}
	return names
}

// wordChars are those that GRUB does not interpret.
const wordChars = chars.Letters + chars.Digits + "_.,:=/@%+-"

// plainPath tells whether GRUB takes p as it is: an absolute path without empty names.
func plainPath(p string) bool {
	return chars.Only(p, wordChars) && strings.HasPrefix(p, "/") && !strings.HasSuffix(p, "/") &&
		!strings.Contains(p, "//")
}

// isUUID tells whether s looks like a file system's UUID, which is shorter with FAT.
func isUUID(s string) bool {
	return len(s) >= 9 && len(s) <= 36 && chars.Only(s, chars.Digits+"ABCDEFabcdef-")
}

// validate wraps errScript when the script cannot be written.
func (s *Script) validate() error {
	if err := s.slots().Validate(); err != nil {
		return fmt.Errorf("%w: %w", errScript, err)
	}
	if s.UUID != "" && !isUUID(s.UUID) {
		return fmt.Errorf("%w: %q is not a UUID", errScript, s.UUID)
	}
	if s.Panic < 0 || s.Panic%time.Second != 0 {
		return fmt.Errorf("%w: panic after %v, which is not in whole seconds", errScript, s.Panic)
	}
	paths, words := []string{s.Env}, slices.Clone(s.Args)
	for _, e := range s.Entries {
		paths = append(paths, e.Kernel, e.Initrd)
		words = append(words, e.Args...)
	}
	for _, p := range paths {
		if !plainPath(p) {
			return fmt.Errorf("%w: %q is not a plain absolute path", errScript, p)
		}
	}
	for _, w := range words {
		if !chars.Some(w, wordChars) {
			return fmt.Errorf("%w: kernel argument %q has characters that GRUB would interpret",
				errScript, w)
		}
	}
	return nil
}

// args are the arguments of one slot's kernel, those of the boot itself left out.
func (s *Script) args(e Entry) string {
	after := s.Panic
	if after == 0 {
		after = defaultPanic
	}
	args := []string{fmt.Sprintf("panic=%d", after/time.Second)}
	return strings.Join(slices.Concat(args, s.Args, e.Args), " ")
}
