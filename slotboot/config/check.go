package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Limits.
const (
	maxAttempts = 9 // boot loaders cannot count further
	maxSlots    = 8
)

var (
	slotName   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,14}$`)
	deviceSpec = regexp.MustCompile(
		`^(/dev/[A-Za-z0-9._,=/@%+-]+|(LABEL|UUID|PARTLABEL|PARTUUID)=[A-Za-z0-9._,=@%+-]+)(:/[A-Za-z0-9._,=/@%+-]+)?$`,
	)
	expiry = regexp.MustCompile(`^([0-9]{1,4}[dh])?$`)
	noData = regexp.MustCompile(`(^| )deltaup\.nodata(=| |$)`)
	// kernelArgs keeps to what stands for itself in the scripts of boot loaders.
	kernelArgs = regexp.MustCompile(`^[A-Za-z0-9 ._,:=/@%+-]*$`)
)

// check looks at what the types of the fields permit and a machine does not.
func (c *Config) check() error {
	bad := func(key, format string, args ...any) error {
		return &Error{File: c.File, Key: key, Text: fmt.Sprintf(format, args...)}
	}
	for _, m := range c.Mirrors {
		if m == "" {
			return bad("mirrors", "has an empty entry")
		}
	}
	switch {
	case c.Channel == "":
		return bad("channel", "is empty")
	case !expiry.MatchString(c.AcceptExpired):
		return bad("accept_expired", "%q is no time such as 90d or 12h", c.AcceptExpired)
	case !filepath.IsAbs(c.State):
		return bad("state", "%q is no absolute path", c.State)
	case !filepath.IsAbs(c.Boot.Grubenv):
		return bad("boot.grubenv", "%q is no absolute path", c.Boot.Grubenv)
	case c.Boot.Attempts < 1 || c.Boot.Attempts > maxAttempts:
		return bad("boot.attempts", "%d is not within 1 to %d", c.Boot.Attempts, maxAttempts)
	case !kernelArgs.MatchString(c.Boot.Args):
		return bad("boot.args", "%q has other characters than %s", c.Boot.Args,
			"letters, digits, spaces and ._,:=/@%+-")
	case !slices.Contains([]NoData{DataFallback, DataOptional, DataRequired}, c.Boot.Data):
		return bad("boot.data", "%q is neither %s, %s nor %s", c.Boot.Data, DataFallback, DataOptional,
			DataRequired)
	case c.Boot.Data != DataFallback && noData.MatchString(c.Boot.Args):
		return bad("boot.args", "deltaup.nodata= and boot.data exclude each other")
	case len(c.Slots) < 2 || len(c.Slots) > maxSlots:
		return bad("slot", "there are %d, wanted are 2 to %d", len(c.Slots), maxSlots)
	}
	if err := c.checkHTTP(bad); err != nil {
		return err
	}
	for i := range c.Slots {
		if err := c.checkSlot(i); err != nil {
			return err
		}
	}
	return nil
}

// checkSlot looks at one slot, which must share nothing with those before it.
func (c *Config) checkSlot(i int) error {
	s := &c.Slots[i]
	bad := func(key, format string, args ...any) error {
		key = fmt.Sprintf("slot %d (%q): %s", i+1, s.Name, key)
		return &Error{File: c.File, Key: key, Text: fmt.Sprintf(format, args...)}
	}
	switch {
	case !slotName.MatchString(s.Name):
		return bad("name", "wanted are a lower-case letter and up to 14 of a-z, 0-9 and _")
	case !filepath.IsAbs(s.Path):
		return bad("path", "%q is no absolute path", s.Path)
	case !filepath.IsAbs(s.Boot):
		return bad("boot", "%q is no absolute path", s.Boot)
	case s.Image == "":
		return bad("image", "is missing: the initramfs finds a slot that is a file as DEVICE:/PATH")
	case !deviceSpec.MatchString(s.Image):
		return bad("image", "%q is neither DEVICE nor DEVICE:/PATH", s.Image)
	}
	for j := range i {
		other := &c.Slots[j]
		switch {
		case s.Name == other.Name:
			return bad("name", "slot %d has it too", j+1)
		case filepath.Clean(s.Path) == filepath.Clean(other.Path):
			return bad("path", "slot %d has it too", j+1)
		case filepath.Clean(s.Boot) == filepath.Clean(other.Boot):
			return bad("boot", "slot %d has it too", j+1)
		case s.Image == other.Image:
			return bad("image", "slot %d has it too", j+1)
		}
	}
	return nil
}

// onDevice tells a device from a file by its path alone.
func onDevice(path string) bool { return strings.HasPrefix(filepath.Clean(path), "/dev/") }
