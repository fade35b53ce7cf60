package layers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"deltaup/mkimage/layers/deb"
)

// Hook is a script that a package's installation would run.
type Hook struct {
	Package, Script, SHA256 string
	// Rest is what of the script neither rules cover nor is without effect on a fresh
	// installation, line by line. It is empty for a script that is known.
	Rest         []string
	Acknowledged bool
}

// Hooks gives the scripts of a definition's packages, in the lock's order.
func Hooks(ctx context.Context, d *Definition, o Options) (_ []Hook, err error) {
	c := &composition{definition: d, stage: newStage(d.Time)}
	defer func() { err = errors.Join(err, c.stage.Close()) }()
	for i := range d.Layers {
		if l := &d.Layers[i]; len(l.Packages) > 0 {
			if _, err := c.openPackages(ctx, l, o); err != nil {
				return nil, fmt.Errorf("layer %s: %w", l.Name, err)
			}
		}
	}
	return c.hooks(), nil
}

func (c *composition) hooks() (list []Hook) {
	for _, p := range c.packages {
		for _, script := range deb.InstallScripts {
			text, ok := p.Control[script]
			if !ok {
				continue
			}
			sum := sha256.Sum256(text)
			h := Hook{Package: p.Name, Script: script, SHA256: hex.EncodeToString(sum[:])}
			h.Rest = uncovered(string(text))
			h.Acknowledged = slices.ContainsFunc(c.definition.Acks, func(a Acknowledge) bool {
				return a.Package == h.Package && a.Script == h.Script && a.SHA256 == h.SHA256
			})
			list = append(list, h)
		}
	}
	return list
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

// Marks of the snippets that debhelper adds to scripts.
const (
	snippetBegin = "# Automatically added by "
	snippetEnd   = "# End automatically added section"
)

// coveredSnippets are the tools of debhelper whose snippets do what rules do, or nothing on a fresh
// installation whose machine is not running.
var coveredSnippets = map[string]bool{
	"dh_installalternatives": true, // alternatives
	"dh_installdeb":          true, // dpkg-maintscript-helper: moves settings of older versions
	"dh_installinit":         true, // starts a service; its unit is the definition's choice
	"dh_installsystemd":      true,
	"dh_installsystemduser":  true,
	"dh_installtmpfiles":     true, // tmpfiles
	"dh_installsysusers":     true, // sysusers
	"dh_installmenu":         true,
	"dh_installdebconf":      true,
	"dh_makeshlibs":          true,
	"dh_python3":             true, // bytecode, which no image wants
	"py3compile":             true,
	"dh_icons":               true, // cache of icons
	"dh_apparmor":            true, // loads a profile, which the boot does
	"dh_runit":               true,
}

// idle are lines that do nothing by themselves.
var idle = regexp.MustCompile(`^(` + strings.Join([]string{
	`#.*`, `set -[eux]+`, `exit 0`, `true`, `:`, `;;`, `esac`, `fi`, `done`, `else`, `then`,
	`case ["']?\$\{?1\}?["']? in`,
	`\(?(configure|reconfigure|install|upgrade|triggered|abort-[a-z]+|\*|\|| )+\)`,
	`if (test|\[) ["']?x?\$1["']? ?==? ?["']?x?configure["']?( \])? ?;? ?(then)?`,
	`\. /usr/share/debconf/confmodule`, `db_stop`, `export [A-Z_]+=\S*`, `umask 0?22`,
	`echo "[^"$` + "`" + `]*" >&2`, `exit 1`,
	`echo "(post|pre)inst called with unknown argument .*" ?>&2`,
	`action="?\$1"?`,
	`dpkg-trigger --no-await update-initramfs`,
}, "|") + `)(\s*;;)?$`)

// uncovered gives the lines of a script that are not known: neither in a snippet that rules cover,
// nor an alternative by literal words, nor idle.
func uncovered(script string) (rest []string) {
	snippet := ""
	for _, line := range logicalLines(script) {
		if tool, ok := strings.CutPrefix(line, snippetBegin); ok {
			snippet, _, _ = strings.Cut(tool, "/")
			continue
		}
		if line == snippetEnd {
			snippet = ""
			continue
		}
		if coveredSnippets[snippet] || line == "" || idle.MatchString(line) {
			continue
		}
		if _, ok := parseAlternative(line); ok {
			continue
		}
		rest = append(rest, line)
	}
	return rest
}
