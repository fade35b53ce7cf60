package layers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"deltaup/mkimage/layers/script"
)

// Hook is a script that a package's installation would run.
type Hook struct {
	Package string `json:"package"`
	Script  string `json:"script"` // preinst, postinst; of Alpine pre-install, post-install, trigger
	SHA256  string `json:"sha256"`
	// Rest has the commands that would add something to the composed tree, see package script. It
	// is empty for a script that is known.
	Rest         []string `json:"rest"`
	Acknowledged bool     `json:"acknowledged"`
}

// Hooks gives the scripts of a definition's packages, in the lock's order.
func Hooks(ctx context.Context, d *Definition, o Options) (_ []Hook, err error) {
	c := &composition{ctx: ctx, definition: d, stage: newStage(d.Time)}
	defer func() { err = errors.Join(err, c.stage.Close()) }()
	if err := c.stack(ctx, o); err != nil {
		return nil, err
	}
	if err := c.rule(ctx); err != nil {
		return nil, err
	}
	return c.hooks(), nil
}

// hooks gives the scripts in the order in which they would run.
func (c *composition) hooks() (list []Hook) {
	for _, p := range c.packages {
		rest := map[string][]string{}
		p.follow(finished{c}, func(s installScript, effects *script.Effects) {
			for _, line := range effects.Rest {
				if !slices.Contains(rest[s.name], line) {
					rest[s.name] = append(rest[s.name], line)
				}
			}
		})
		for _, s := range p.scripts {
			sum := sha256.Sum256([]byte(s.text))
			h := Hook{
				Package: p.name, Script: s.name, SHA256: hex.EncodeToString(sum[:]), Rest: rest[s.name],
			}
			h.Acknowledged = c.acknowledged(&h)
			list = append(list, h)
		}
	}
	return list
}

// acknowledged tells whether somebody has acknowledged a script as it is.
func (c *composition) acknowledged(h *Hook) bool {
	return slices.ContainsFunc(c.tasks(), func(w *Tasks) bool {
		return slices.ContainsFunc(w.Acks, func(a Acknowledge) bool {
			return a.Package == h.Package && a.Script == h.Script && a.SHA256 == h.SHA256
		})
	})
}

// accountForScripts fails while a script is neither known nor acknowledged.
func (c *composition) accountForScripts() error {
	var open []string
	for _, h := range c.hooks() {
		if len(h.Rest) > 0 && !h.Acknowledged {
			open = append(open, h.Package+" "+h.Script)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d of them: %s", ErrHooks, len(open), strings.Join(open, ", "))
}

// covering has the commands whose work somebody else does, and who that is: a rule that is on, or
// nobody, since no image wants it, as settings of older versions, bytecode, and what only a running
// machine has.
var covering = map[string]string{
	"deb-systemd-helper":       "units",
	"systemctl":                "units",
	"update-rc.d":              "units",
	"systemd-tmpfiles":         "tmpfiles",
	"systemd-sysusers":         "sysusers",
	"update-ca-certificates":   "certificates",
	"pam-auth-update":          "pam",
	"update-shells":            "shells",
	"ldconfig":                 "libraries",
	"depmod":                   "depmod",
	"systemd-hwdb":             "hwdb",
	"journalctl":               "catalog",
	"update-mime-database":     "mime",
	"update-desktop-database":  "applications",
	"glib-compile-schemas":     "schemas",
	"gtk-update-icon-cache":    "icons",
	"update-icon-caches":       "icons",
	"shadowconfig":             "users",
	"update-passwd":            "users",
	"systemd-machine-id-setup": "first boot",
	"dbus-uuidgen":             "first boot",
	"ssh-keygen":               "first boot",
	"py3compile":               "bytecode",
	"pycompile":                "bytecode",
	"pypy3compile":             "bytecode",
	"update-initramfs":         "initrd",
	"linux-update-symlinks":    "boot loader",
	"linux-run-hooks":          "boot loader",
	"update-grub":              "boot loader",
	"update-menus":             "menus",
	"dpkg-maintscript-helper":  "older versions",
	"dpkg-trigger":             "what is triggered is a script",
	"ucfr":                     "no database of settings",
	"apparmor_parser":          "boot",
	"update-binfmts":           "boot",
	"rmdir":                    "older versions",
	"restorecon":               "no labels",
}
