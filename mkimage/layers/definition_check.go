package layers

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"deltaup/mkimage/adopt"
	"deltaup/mkimage/layers/oci"
	"deltaup/mkimage/rootfs"
)

// HasPackages tells whether a layer is of packages by name.
func (d *Definition) HasPackages() bool {
	return slices.ContainsFunc(d.Layers, func(l Layer) bool { return len(l.Packages) > 0 })
}

// NeedsLock tells whether a layer is of packages by name, or from a registry by a tag.
func (d *Definition) NeedsLock() bool {
	return slices.ContainsFunc(d.Layers, func(l Layer) bool {
		return len(l.Packages) > 0 || l.Container != "" && fromRegistry(l.Container)
	})
}

// fromRegistry tells whether a reference is of a registry, and has no digest.
func fromRegistry(reference string) bool {
	ref, err := oci.ParseReference(reference)
	return err == nil && ref.Path == "" && ref.Digest == ""
}

// wrong makes an error about the definition.
func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDefinition}, args...)...)
}

func (d *Definition) validate() error {
	if len(d.Layers) == 0 {
		return wrong("it has no layer")
	}
	if d.Time == 0 {
		return wrong("time is missing: the latest time in the image, in seconds since 1970")
	}
	names := map[string]bool{}
	for i := range d.Layers {
		l := &d.Layers[i]
		if !plainName(l.Name) || names[l.Name] {
			return wrong("layer %d has the name %q: want one of its own, of letters, digits and -._",
				i+1, l.Name)
		}
		names[l.Name] = true
		if err := l.validate(); err != nil {
			return fmt.Errorf("layer %s: %w", l.Name, err)
		}
		if len(l.Packages) > 0 && d.Architecture == "" {
			return wrong("architecture is missing, such as amd64")
		}
	}
	if d.Alpine() {
		if err := d.validateApk(); err != nil {
			return err
		}
	}
	for _, rule := range []struct {
		name, value string
		values      []string
	}{
		{"alternatives", d.Rules.Alternatives, []string{"auto", "none"}},
		{"dpkg", d.Rules.Dpkg, []string{"none", "status.d", "whole"}},
	} {
		if !slices.Contains(rule.values, rule.value) {
			return wrong("rules: %s is %q, want one of %q", rule.name, rule.value, rule.values)
		}
	}
	for i := range d.Replace {
		r := &d.Replace[i]
		var err error
		if r.Path, err = cleanPath(r.Path); err != nil || r.From == "" {
			return errors.Join(err, wrong("replace %q: want a path, and from whom", r.Path))
		}
	}
	for i := range d.Packages {
		p := &d.Packages[i]
		if !word(p.Name, "-.+") {
			return wrong("package %d has the name %q", i+1, p.Name)
		}
		for j := range p.Acks {
			p.Acks[j].Package = cmp.Or(p.Acks[j].Package, p.Name)
		}
		if err := p.Tasks.validate(); err != nil {
			return fmt.Errorf("package %s: %w", p.Name, err)
		}
	}
	if d.Deltaup != (adopt.Settings{}) && d.Deltaup.Program == "" {
		return wrong("deltaup: program is missing: deltaup for the machines")
	}
	return errors.Join(d.Initrd.validate(), d.Tasks.validate())
}

func (w *Tasks) validate() error {
	for i := range w.Users {
		if u := &w.Users[i]; !userName(u.Name) || u.UID == nil {
			return wrong("user %q: want a name and a uid", u.Name)
		} else if field := u.Gecos + u.Home + u.Shell; strings.ContainsFunc(field, notInPasswd) {
			return wrong("user %s: gecos, home and shell stand in a line between colons", u.Name)
		}
	}
	for i := range w.Groups {
		if g := &w.Groups[i]; !userName(g.Name) || g.GID == nil {
			return wrong("group %q: want a name and a gid", g.Name)
		}
	}
	for i := range w.Files {
		if err := w.Files[i].validate(); err != nil {
			return err
		}
	}
	for _, a := range w.Acks {
		if a.Why == "" {
			return wrong("ack of %s %s: why is missing", a.Package, a.Script)
		}
	}
	return nil
}

// notInPasswd tells the letters that would end a field or a line of etc/passwd.
func notInPasswd(r rune) bool { return r == ':' || unicode.IsControl(r) }

func (l *Layer) validate() error {
	n := 0
	for _, set := range []bool{
		len(l.Packages) > 0, len(l.Files) > 0, l.Folder != "", l.Archive != "", l.Image != "",
		l.Container != "",
	} {
		if set {
			n++
		}
	}
	if n != 1 {
		return wrong("want just one of packages, files, folder, archive, image and container")
	}
	if l.Container != "" {
		if _, err := oci.ParseReference(l.Container); err != nil {
			return wrong("%w", err)
		}
		if l.Subdir != "" || l.Owner != "" || len(l.Exclude) > 0 {
			return wrong("a container has no subdir, owner or exclude; files with remove do that")
		}
	}
	if err := (rootfs.Filter{Exclude: l.Exclude, Include: l.Include}).Check(); err != nil {
		return wrong("%w", err)
	}
	if l.Owner != "" {
		owner, err := rootfs.ParseOwner(l.Owner)
		if err != nil {
			return wrong("%w", err)
		}
		l.owner = &owner
	}
	return nil
}

func (f *File) validate() error {
	n := 0
	for _, set := range []bool{f.Text != nil, f.Copy != "", f.Link != "", f.Dir, f.Remove,
		f.Attributes} {
		if set {
			n++
		}
	}
	if n != 1 {
		return wrong("file %q: want just one of text, copy, link, dir, remove and attributes", f.Path)
	}
	if f.Mode != "" {
		mode, err := strconv.ParseUint(f.Mode, 8, 16)
		if err != nil || mode > 0o7777 {
			return wrong("file %q: mode %q: want an octal number such as 0644", f.Path, f.Mode)
		}
		m := uint16(mode)
		f.mode = &m
	}
	var err error
	if f.Path, err = cleanPath(f.Path); err == nil && f.Copy != "" {
		f.Copy, err = cleanPath(f.Copy)
	}
	if _, bad := path.Match(f.Path, ""); err == nil && f.Remove && bad != nil {
		return wrong("file %q: remove: %w", f.Path, bad)
	}
	return err
}
