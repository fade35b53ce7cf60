package layers

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"deltaup/internal/plainfile"
	"deltaup/mkimage/adopt"
)

// definitionMax is how long a definition may be, in bytes.
const definitionMax = 4 << 20

// defaults are the rules of a definition that says nothing of them.
var defaults = Rules{
	MergedUsr: true, Alternatives: "auto", Applets: "auto", Certificates: true, Pam: true, Shells: true,
	Tmpfiles: true, Sysusers: true, Libraries: true, Depmod: true, Hwdb: true, Catalog: true,
	Mime: true, Applications: true, Schemas: true, Icons: true, Fonts: true, Dpkg: "none",
}

// includesMax is how many definitions one may be made of.
const includesMax = 64

// ReadDefinition reads the definition in a file, and those that it includes. Errors name the file
// and wrap ErrDefinition, or are the system's.
func ReadDefinition(name string) (*Definition, error) {
	r := reader{}
	d, err := r.read(name, defaults)
	if err != nil {
		return nil, err
	}
	if err := d.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return d, nil
}

// reader reads a definition with those that it includes.
type reader struct {
	files int
	open  []string // that include one another, the outermost first
}

func (r *reader) read(name string, rules Rules) (*Definition, error) {
	if slices.Contains(r.open, name) {
		return nil, fmt.Errorf("%s: %w: it includes itself: %s", r.open[0], ErrDefinition,
			strings.Join(append(r.open, name), ", "))
	}
	if r.files++; r.files > includesMax {
		return nil, fmt.Errorf("%s: %w: it includes more than %d others", r.open[0], ErrDefinition,
			includesMax)
	}
	text, err := plainfile.Read(name, definitionMax)
	if err != nil {
		if len(r.open) > 0 {
			err = fmt.Errorf("%s: include: %w", r.open[len(r.open)-1], err)
		}
		return nil, err
	}
	r.open = append(r.open, name)
	defer func() { r.open = r.open[:len(r.open)-1] }()
	// the rules of those that are included are the defaults of this one
	first := Definition{Rules: rules}
	if err := decodeDefinition(name, text, &first); err != nil {
		return nil, err
	}
	base := &Definition{Rules: rules}
	for _, include := range first.Include {
		d, err := r.read(relative(filepath.Dir(name), include), base.Rules)
		if err != nil {
			return nil, err
		}
		base = base.with(d)
	}
	d := &Definition{Rules: base.Rules}
	if err := decodeDefinition(name, text, d); err != nil {
		return nil, err
	}
	d.anchor(filepath.Dir(name))
	d.sources = []string{name}
	return base.with(d), nil
}

// with gives the definition with another one upon it. A layer of the same name, and a package, add
// to what is there.
func (d *Definition) with(other *Definition) *Definition {
	sum := *other
	sum.Architecture = cmp.Or(other.Architecture, d.Architecture)
	sum.Time = cmp.Or(other.Time, d.Time)
	sum.sources = append(slices.Clone(d.sources), other.sources...)
	sum.Layers = append(slices.Clone(d.Layers), other.Layers...)
	sum.Replace = append(slices.Clone(d.Replace), other.Replace...)
	sum.Packages = append(slices.Clone(d.Packages), other.Packages...)
	sum.Apt = d.Apt.with(&other.Apt)
	sum.Apk = d.Apk.with(&other.Apk)
	sum.Deltaup = adopt.Settings{
		Program: cmp.Or(other.Deltaup.Program, d.Deltaup.Program),
		Config:  cmp.Or(other.Deltaup.Config, d.Deltaup.Config),
		Root:    cmp.Or(other.Deltaup.Root, d.Deltaup.Root),
	}
	sum.Initrd = d.Initrd.with(&other.Initrd)
	sum.Tasks = Tasks{
		Users:      append(slices.Clone(d.Users), other.Users...),
		Groups:     append(slices.Clone(d.Groups), other.Groups...),
		Files:      append(slices.Clone(d.Files), other.Files...),
		Enable:     append(slices.Clone(d.Enable), other.Enable...),
		EnableUser: append(slices.Clone(d.EnableUser), other.EnableUser...),
		Disable:    append(slices.Clone(d.Disable), other.Disable...),
		Mask:       append(slices.Clone(d.Mask), other.Mask...),
		Acks:       append(slices.Clone(d.Acks), other.Acks...),
	}
	return &sum
}

// with gives the sources of packages with what another definition says of them. Sources and the
// file with their keys belong together.
func (a *Apt) with(other *Apt) Apt {
	sum := Apt{
		Sources: a.Sources, Keyring: cmp.Or(other.Keyring, a.Keyring),
		Vendor: cmp.Or(other.Vendor, a.Vendor), Recommends: a.Recommends || other.Recommends,
	}
	if len(other.Sources) > 0 {
		sum.Sources, sum.Keyring = other.Sources, other.Keyring
	}
	return sum
}

// with gives the same for Alpine's packages.
func (a *Apk) with(other *Apk) Apk {
	sum := Apk{
		Repositories: a.Repositories, Keys: cmp.Or(other.Keys, a.Keys),
		Architecture: cmp.Or(other.Architecture, a.Architecture),
		Vendor:       cmp.Or(other.Vendor, a.Vendor),
	}
	if len(other.Repositories) > 0 {
		sum.Repositories, sum.Keys = other.Repositories, other.Keys
	}
	return sum
}

// anchor makes the paths of this machine begin at a folder.
func (d *Definition) anchor(dir string) {
	for i := range d.Layers {
		l := &d.Layers[i]
		if transport, path, ok := cutPath(l.Container); ok {
			l.Container = transport + relative(dir, path)
		}
	}
	for _, p := range d.paths() {
		*p = relative(dir, *p)
	}
}

// paths gives the settings that are paths of this machine, container images apart.
func (d *Definition) paths() []*string {
	list := []*string{
		&d.Apt.Keyring, &d.Apk.Keys, &d.Deltaup.Program, &d.Deltaup.Config, &d.Deltaup.Root,
	}
	for i := range d.Layers {
		l := &d.Layers[i]
		list = append(list, &l.Folder, &l.Archive, &l.Image)
		for j := range l.Files {
			list = append(list, &l.Files[j])
		}
	}
	return list
}

// Inputs gives the paths of this machine that the definition is made of: itself, what it includes,
// and what its layers and settings name, container images apart.
func (d *Definition) Inputs() []string {
	inputs := slices.Clone(d.sources)
	for _, p := range d.paths() {
		if *p != "" {
			inputs = append(inputs, *p)
		}
	}
	return inputs
}

// cutPath cuts a reference of a container image in a file or folder before its path.
func cutPath(reference string) (transport, path string, ok bool) {
	for _, t := range []string{"oci:", "oci-archive:", "docker-archive:"} {
		if path, ok := strings.CutPrefix(reference, t); ok {
			return t, path, true
		}
	}
	return "", reference, strings.HasPrefix(reference, "./") || strings.HasPrefix(reference, "../")
}

// relative gives a path that may begin at a folder.
func relative(dir, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
