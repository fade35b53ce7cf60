// Package config reads the configuration of a machine with slots: deltaup.toml.
//
// [Find] tells which file counts, and [Load] reads it. A key that is unknown, of the wrong type or
// out of range is an [Error] that names file, line and key. So a misspelt key never passes for a
// default.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"deltaup/internal/sysroot"
)

// ErrNone is wrapped when there is no configuration.
var ErrNone = errors.New("no configuration")

// Places are where Find looks for the file. The first that exists counts, as a whole: a key that it
// does not set has its default, and not the value of a later file.
var Places = []string{
	"/etc/deltaup/deltaup.toml",
	"/run/deltaup/deltaup.toml",
	"/usr/lib/deltaup/deltaup.toml",
}

// maxSize bounds what is read.
const maxSize = 1 << 20

// Config is what the file says, defaults filled in. Its paths are those of the running machine.
type Config struct {
	Mirrors    []string `toml:"mirrors"`    // URLs or folders, the preferred one first; or none
	Channel    string   `toml:"channel"`    // default stable
	Compatible string   `toml:"compatible"` // what this machine is; "": not checked
	// AcceptExpired is how long expired signatures are still accepted, such as 90d or 12h; "": not
	// at all.
	AcceptExpired string `toml:"accept_expired"`
	State         string `toml:"state"` // folder of what outlives images; default /var/lib/deltaup
	Boot          Boot   `toml:"boot"`
	Slots         []Slot `toml:"slot"` // two or more
	HTTP          Web    `toml:"http"`

	File string `toml:"-"` // that it was read from
}

// Boot says how the machine boots. Whether there is such a loader is not checked here.
type Boot struct {
	Loader  string `toml:"loader"`  // default grub
	Grubenv string `toml:"grubenv"` // GRUB's environment block; default /boot/deltaup/grubenv
	// Attempts is how many boots a new image gets to be marked good, 1 to 9; default 3.
	Attempts int    `toml:"attempts"`
	Args     string `toml:"args"` // kernel arguments of every slot
	Data     NoData `toml:"data"` // default DataFallback
}

// NoData is what becomes of a boot whose data partition is missing or cannot be mounted.
type NoData string

// What becomes of such a boot.
const (
	DataFallback NoData = "fallback" // after some boots in a row memory takes its place
	DataOptional NoData = "optional" // memory takes its place at once
	DataRequired NoData = "required" // the machine restarts until it is there
)

// KernelArgs are the arguments of every slot's kernel: Args, and what tells the initramfs of Data.
func (b Boot) KernelArgs() []string {
	args := strings.Fields(b.Args)
	switch b.Data { // DataFallback is what the initramfs does by itself
	case DataOptional:
		args = append(args, "deltaup.nodata")
	case DataRequired:
		args = append(args, "deltaup.nodata=never")
	}
	return args
}

// Slot is a place for one image with its kernel and initrd.
type Slot struct {
	Name string `toml:"name"` // [a-z][a-z0-9_]{0,14}
	Path string `toml:"path"` // a partition or logical volume below /dev, or a file
	// Boot is the folder of its kernel and initrd, on a file system that the boot loader reads.
	Boot string `toml:"boot"`
	// Image is how the initramfs finds the slot: DEVICE, or DEVICE:/PATH of a file in its file
	// system. DEVICE is a path below /dev, or LABEL=, UUID=, PARTLABEL= or PARTUUID=. A device has
	// the default Path; a file has none.
	Image string `toml:"image"`
}

// The files in a slot's boot folder.
const (
	KernelFile = "vmlinuz"
	InitrdFile = "initrd.img"
)

// Find gives the file that counts below root, "/" on a running machine. ErrNone is wrapped when
// there is none.
func Find(root string) (string, error) {
	for _, place := range Places {
		path := place
		if filepath.Clean(root) != "/" {
			var err error
			if path, err = sysroot.Join(root, place); err != nil {
				return "", err
			}
		}
		_, err := os.Stat(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("%w: none of %s, %s and %s exists", ErrNone, Places[0], Places[1],
		Places[2])
}

// Names are the names of the slots, in their order.
func (c *Config) Names() []string {
	names := make([]string, len(c.Slots))
	for i, s := range c.Slots {
		names[i] = s.Name
	}
	return names
}

// Slot gives the slot of that name, nil when there is none.
func (c *Config) Slot(name string) *Slot {
	for i := range c.Slots {
		if c.Slots[i].Name == name {
			return &c.Slots[i]
		}
	}
	return nil
}

// Error is what is wrong with a file, and where.
type Error struct {
	File string
	line int    // 0: nowhere in particular
	Key  string // as slot.path; "": none in particular
	Text string
}

func (e *Error) Error() string {
	at := e.File
	if e.line > 0 {
		at = fmt.Sprintf("%s:%d", e.File, e.line)
	}
	if e.Key == "" {
		return at + ": " + e.Text
	}
	return fmt.Sprintf("%s: %s: %s", at, e.Key, e.Text)
}
