package layers

import (
	"slices"
	"strconv"
	"strings"

	"deltaup/mkimage/tree"
)

// volatileDirs are made at each boot: what tmpfiles.d puts there is none of the image's.
var volatileDirs = []string{"dev", "proc", "run", "sys", "tmp"}

// tmpfiles makes the folders, files and links of tmpfiles.d(5) that are the same on each machine. A
// line with a specifier, a pattern, or one that systemd runs at boot alone is left to the boot.
func (c *composition) tmpfiles() error {
	for _, p := range c.stage.dropIns(".conf", "usr/lib/tmpfiles.d", "etc/tmpfiles.d") {
		content, _, err := c.stage.read(p)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(content)) {
			if w := words(line); len(w) > 1 && !strings.HasPrefix(w[0], "#") {
				if err := c.tmpfile(w); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// tmpfile does one line of a file: type, path, mode, user, group, age, argument.
func (c *composition) tmpfile(w []string) error {
	kind := strings.TrimRight(w[0], "-+=~$") // "!" is for boots alone, "^" needs credentials
	field := fieldsOf(w)
	at, err := cleanPath(w[1])
	first, _, _ := strings.Cut(at, "/")
	if err != nil || strings.ContainsAny(w[1]+field(6), "%*?[") ||
		slices.Contains(volatileDirs, first) ||
		strings.HasPrefix(at, "var/run/") || strings.HasPrefix(at, "var/lock/") {
		return nil
	}
	resolved, ok := c.stage.resolve(at)
	old := c.stage.files[resolved]
	folders := slices.Contains([]string{"d", "D", "v", "q", "Q"}, kind)
	if !ok || old != nil && (!folders || old.Type != tree.Directory) {
		return nil // what is there stays
	}
	var f *file
	switch {
	case folders && old != nil: // it gets the attributes
		again := *old
		f = &again
	case folders:
		f = folder(0o755, c.stage.time)
		f.from = "tmpfiles"
	}
	switch kind {
	case "d", "D", "v", "q", "Q":
	case "f", "F":
		f = c.stage.made("tmpfiles", 0o644, []byte(field(6)))
	case "L":
		if field(6) == "" {
			return nil
		}
		f = c.stage.symlink("tmpfiles", field(6))
	default:
		return nil
	}
	if mode := strings.TrimLeft(field(2), "~:"); mode != "" && f.Type != tree.Symlink {
		n, err := strconv.ParseUint(mode, 8, 16)
		if err != nil || n > 0o7777 {
			return nil
		}
		f.Mode = uint16(n)
	}
	if user := strings.TrimLeft(field(3), ":"); user != "" {
		if f.UID, ok = c.number("etc/passwd", user); !ok {
			return nil // made at boot, when the user is there
		}
	}
	if group := strings.TrimLeft(field(4), ":"); group != "" {
		if f.GID, ok = c.number("etc/group", group); !ok {
			return nil
		}
	}
	return c.stage.write(resolved, f)
}
