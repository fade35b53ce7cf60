package layers

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"deltaup/mkimage/layers/apk"
	"deltaup/mkimage/layers/deb"
	"deltaup/mkimage/layers/script"
	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/tree"
)

// installed is a package of a layer.
type installed struct {
	name, version string
	scripts       []installScript
	debian        *deb.Package // nil: Alpine's
	tree.Tree
}

// installScript is one that the package's installation would run.
type installScript struct {
	name, text string
	action     string // $1
	triggered  bool   // it also runs when other packages' files trigger it
}

// fromDebian takes a package of Debian.
func fromDebian(p *deb.Package) *installed {
	out := &installed{name: p.Name, version: p.Version, debian: p, Tree: p}
	for _, s := range []struct{ name, action string }{
		{"preinst", "install"}, {"postinst", "configure"},
	} {
		if text, ok := p.Control[s.name]; ok {
			out.scripts = append(out.scripts, installScript{
				name: s.name, text: string(text), action: s.action,
				triggered: s.name == "postinst" && interested(p),
			})
		}
	}
	return out
}

// fromAlpine takes a package of Alpine. apk calls its scripts with the package's version.
func fromAlpine(p *apk.Package) *installed {
	out := &installed{name: p.Name, version: p.Version, Tree: p}
	for _, name := range []string{".pre-install", ".post-install", ".trigger"} {
		if text, ok := p.Scripts[name]; ok {
			out.scripts = append(out.scripts, installScript{
				name: strings.TrimPrefix(name, "."), text: string(text), action: p.Version,
				triggered: name == ".trigger",
			})
		}
	}
	return out
}

// interested tells whether a package is triggered by others, see deb-triggers(5).
func interested(p *deb.Package) bool {
	for line := range strings.Lines(string(p.Control["triggers"])) {
		if strings.HasPrefix(line, "interest") {
			return true
		}
	}
	return false
}

// follow gives what the scripts of a package would do on a system, each by itself.
func (p *installed) follow(system script.System, each func(installScript, *script.Effects)) {
	for _, s := range p.scripts {
		actions := []string{s.action}
		if s.triggered && s.name == "postinst" {
			actions = append(actions, script.Triggered)
		}
		for _, action := range actions {
			each(s, script.Follow(s.text, action, system))
		}
	}
}

// openPackages opens the packages of a layer, several at once: those of the lock and those in
// files.
func (c *composition) openPackages(ctx context.Context, l *Layer, o Options) ([]named, error) {
	var locked []Locked
	if len(l.Packages) > 0 {
		locked = o.Lock.layer(l.Name)
	}
	packages := make([]*installed, len(locked)+len(l.Files))
	var done atomic.Int64
	total := int64(0)
	for _, p := range locked {
		total += p.Size
	}
	options := rootfs.Options{
		Filter: rootfs.Filter{Exclude: l.Exclude, Include: l.Include}, Clamp: &c.definition.Time,
	}
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range locked {
		g.Go(func() error {
			path, err := o.Package(inner, p)
			if err != nil {
				return err
			}
			packages[i], err = c.openPackage(inner, path, options)
			if err == nil && (packages[i].name != p.Name || packages[i].version != p.Version) {
				err = fmt.Errorf("%w: %s is %s %s", ErrLock, p, packages[i].name,
					packages[i].version)
			}
			if n := done.Add(p.Size); o.Progress != nil {
				o.Progress(n, total)
			}
			return err
		})
	}
	for i, path := range l.Files {
		g.Go(func() (err error) {
			packages[len(locked)+i], err = c.openPackage(inner, path, options)
			return err
		})
	}
	err := g.Wait()
	trees := make([]named, 0, len(packages))
	for _, p := range packages {
		if p == nil {
			continue
		}
		c.stage.closers = append(c.stage.closers, p)
		trees = append(trees, named{p.name, p})
		c.packages = append(c.packages, p)
		if p.name == "systemd" {
			c.splitUsr = slices.ContainsFunc(p.Entries(), func(e tree.Entry) bool {
				return e.Path == "lib/systemd/systemd"
			})
		}
	}
	return trees, err
}

// apkSuffix ends the names of Alpine's packages.
const apkSuffix = ".apk"

// openPackage opens a package of Debian or, by its name, of Alpine.
func (c *composition) openPackage(ctx context.Context, path string,
	o rootfs.Options) (*installed, error) {
	if strings.HasSuffix(path, apkSuffix) {
		users, groups := c.numbers()
		p, err := apk.Open(ctx, path, apk.Options{
			Clamp: o.Clamp, Keys: c.keys, Users: users, Groups: groups,
		})
		if err != nil {
			return nil, err
		}
		return fromAlpine(p), nil
	}
	p, err := deb.Open(ctx, path, o)
	if err != nil {
		return nil, err
	}
	return fromDebian(p), nil
}

// numbers gives the users and groups of the definition, for packages that have owners by name.
func (c *composition) numbers() (users, groups map[string]uint32) {
	users, groups = map[string]uint32{}, map[string]uint32{}
	tasks := []*Tasks{&c.definition.Tasks}
	for i := range c.definition.Packages {
		tasks = append(tasks, &c.definition.Packages[i].Tasks)
	}
	for _, t := range tasks {
		for i := range t.Groups {
			groups[t.Groups[i].Name] = *t.Groups[i].GID
		}
		for i := range t.Users {
			u := &t.Users[i]
			users[u.Name] = *u.UID
			if u.GID == nil {
				groups[u.Name] = *u.UID
			}
		}
	}
	return users, groups
}
