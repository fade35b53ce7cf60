package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"deltaup/internal/chars"
)

// Limits.
const (
	maxAttempts = 9 // boot loaders cannot count further
	maxSlots    = 8
)

// plainChars stand for themselves in the scripts of boot loaders.
const plainChars = chars.Letters + chars.Digits + "._,=@%+-"

// isSlotName tells whether s can name a slot.
func isSlotName(s string) bool {
	return len(s) <= 15 && chars.Some(s, chars.Lower+chars.Digits+"_") && strings.IndexByte(chars.Lower, s[0]) >= 0
}

// isImage tells whether s is DEVICE or DEVICE:/PATH. DEVICE is a path below /dev, or a TAG=VALUE
// that the initramfs looks for.
func isImage(s string) bool {
	device, path, within := strings.Cut(s, ":")
	if within && (len(path) < 2 || path[0] != '/' || !chars.Only(path, plainChars+"/")) {
		return false
	}
	if below, ok := strings.CutPrefix(device, "/dev/"); ok {
		return chars.Some(below, plainChars+"/")
	}
	tag, value, _ := strings.Cut(device, "=")
	return slices.Contains([]string{"LABEL", "UUID", "PARTLABEL", "PARTUUID"}, tag) && chars.Some(value, plainChars)
}

// isExpiry tells whether s is a number of days or hours, such as 90d or 12h.
func isExpiry(s string) bool {
	number, unit := chars.Cut(s, chars.Digits)
	return number != "" && len(number) <= 4 && (unit == "d" || unit == "h")
}

// setsNoData tells whether an argument of a kernel is the one that boot.data makes.
func setsNoData(arg string) bool {
	name, _, _ := strings.Cut(arg, "=")
	return name == "deltaup.nodata"
}

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
	case c.AcceptExpired != "" && !isExpiry(c.AcceptExpired):
		return bad("accept_expired", "%q is no time such as 90d or 12h", c.AcceptExpired)
	case !filepath.IsAbs(c.State):
		return bad("state", "%q is no absolute path", c.State)
	case !filepath.IsAbs(c.Boot.Grubenv):
		return bad("boot.grubenv", "%q is no absolute path", c.Boot.Grubenv)
	case c.Boot.Attempts < 1 || c.Boot.Attempts > maxAttempts:
		return bad("boot.attempts", "%d is not within 1 to %d", c.Boot.Attempts, maxAttempts)
	case !chars.Only(c.Boot.Args, plainChars+" :/"):
		return bad("boot.args", "%q has other characters than %s", c.Boot.Args,
			"letters, digits, spaces and ._,:=/@%+-")
	case !slices.Contains([]NoData{DataFallback, DataOptional, DataRequired}, c.Boot.Data):
		return bad("boot.data", "%q is neither %s, %s nor %s", c.Boot.Data, DataFallback, DataOptional,
			DataRequired)
	case c.Boot.Data != DataFallback && slices.ContainsFunc(strings.Split(c.Boot.Args, " "), setsNoData):
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
	case !isSlotName(s.Name):
		return bad("name", "wanted are a lower-case letter and up to 14 of a-z, 0-9 and _")
	case !filepath.IsAbs(s.Path):
		return bad("path", "%q is no absolute path", s.Path)
	case !filepath.IsAbs(s.Boot):
		return bad("boot", "%q is no absolute path", s.Boot)
	case s.Image == "":
		return bad("image", "is missing: the initramfs finds a slot that is a file as DEVICE:/PATH")
	case !isImage(s.Image):
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
