package layers

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"deltaup/mkimage/adopt"
)

// definitionMax is how long a definition may be, in bytes.
const definitionMax = 4 << 20

// defaults are the rules of a definition that says nothing of them.
var defaults = Rules{
	MergedUsr: true, Alternatives: "auto", Applets: "auto", Certificates: true, Pam: true, Shells: true,
	Tmpfiles: true, Sysusers: true, Libraries: true, Depmod: true, Hwdb: true, Catalog: true,
	Mime: true, Applications: true, Schemas: true, Icons: true, Dpkg: "none",
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
type reader struct{ files int }

func (r *reader) read(name string, rules Rules) (*Definition, error) {
	if r.files++; r.files > includesMax {
		return nil, fmt.Errorf("%s: %w: more than %d definitions include one another", name,
			ErrDefinition, includesMax)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > definitionMax {
		return nil, fmt.Errorf("%s: %w: want a regular file of at most %d MiB", name,
			ErrDefinition, definitionMax>>20)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	head := struct {
		Include []string `toml:"include"`
	}{}
	if err := toml.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, ErrDefinition, err)
	}
	base := &Definition{Rules: rules}
	for _, include := range head.Include {
		d, err := r.read(relative(filepath.Dir(name), include), base.Rules)
		if err != nil {
			return nil, err
		}
		base = base.with(d)
	}
	d, err := parseDefinition(text, base.Rules)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	d.anchor(filepath.Dir(name))
	return base.with(d), nil
}

func parseDefinition(text []byte, rules Rules) (*Definition, error) {
	d := &Definition{Rules: rules}
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(d); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return nil, fmt.Errorf("%w: it has no such key:\n%s", ErrDefinition, strict.String())
		}
		return nil, fmt.Errorf("%w: %w", ErrDefinition, err)
	}
	return d, nil
}

// with gives the definition with another one upon it. A layer of the same name, and a package, add
// to what is there.
func (d *Definition) with(other *Definition) *Definition {
	sum := *other
	sum.Architecture = cmp.Or(other.Architecture, d.Architecture)
	sum.Time = cmp.Or(other.Time, d.Time)
	sum.Layers = append(slices.Clone(d.Layers), other.Layers...)
	sum.Replace = append(slices.Clone(d.Replace), other.Replace...)
	sum.Packages = append(slices.Clone(d.Packages), other.Packages...)
	if len(other.Apt.Sources) == 0 {
		sum.Apt = d.Apt
	}
	sum.AlpineKeys = cmp.Or(other.AlpineKeys, d.AlpineKeys)
	if other.Deltaup == (adopt.Settings{}) {
		sum.Deltaup = d.Deltaup
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

// anchor makes the paths of this machine begin at a folder.
func (d *Definition) anchor(dir string) {
	for i := range d.Layers {
		l := &d.Layers[i]
		for _, p := range []*string{&l.Folder, &l.Archive, &l.Image} {
			*p = relative(dir, *p)
		}
		for j := range l.Files {
			l.Files[j] = relative(dir, l.Files[j])
		}
		if transport, path, ok := cutPath(l.Container); ok {
			l.Container = transport + relative(dir, path)
		}
	}
	for _, p := range []*string{
		&d.Apt.Keyring, &d.AlpineKeys, &d.Deltaup.Program, &d.Deltaup.Config, &d.Deltaup.Root,
	} {
		*p = relative(dir, *p)
	}
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
