package layers

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"deltaup/mkimage/adopt"
	"deltaup/mkimage/layers/oci"
	"deltaup/mkimage/rootfs"
)

// definitionMax is how long a definition may be, in bytes.
const definitionMax = 4 << 20

// Definition says what an image is composed from, and by which rules. doc/layers.md describes its
// file.
type Definition struct {
	Architecture string `toml:"architecture"` // as Debian calls it
	Time         uint32 `toml:"time"`         // the latest time in the image, seconds since 1970

	Include []string `toml:"include"` // definitions that come before this one
	Apt     Apt      `toml:"apt"`
	// folder with the keys of which one must have signed each package of Alpine
	AlpineKeys string         `toml:"alpine-keys"`
	Layers     []Layer        `toml:"layer"`
	Replace    []Replacement  `toml:"replace"`
	Rules      Rules          `toml:"rules"`
	Deltaup    adopt.Settings `toml:"deltaup"`
	Initrd     Initrd         `toml:"initrd"`
	Packages   []PackageTasks `toml:"package"`
	Tasks                     // of the whole image
}

// PackageTasks is the work that replaces a package's scripts. It is done where a layer has the
// package.
type PackageTasks struct {
	Name string `toml:"name"`
	Tasks
}

// Tasks are what is done to the tree beside the rules.
type Tasks struct {
	Users  []User      `toml:"user"`
	Groups []UserGroup `toml:"group"`
	Files  []File      `toml:"file"`
	Enable []string    `toml:"enable"` // units of systemd
	// units of users' own systemd, as etc/systemd/user has them
	EnableUser []string      `toml:"enable-user"`
	Disable    []string      `toml:"disable"` // those that stay disabled though something enables them
	Mask       []string      `toml:"mask"`
	Acks       []Acknowledge `toml:"ack"`
}

// Apt says where packages come from.
type Apt struct {
	Sources    []string `toml:"sources"` // lines of sources.list(5)
	Keyring    string   `toml:"keyring"`
	Vendor     string   `toml:"vendor"`     // as package URLs have it; "": debian
	Recommends bool     `toml:"recommends"` // packages that others recommend come, too
}

// Layer is one of the things that a tree is composed from, upon those before. Just one of Packages,
// Files, Folder, Archive, Image and Container is set.
type Layer struct {
	Name      string   `toml:"name"`
	Packages  []string `toml:"packages"` // names or patterns of apt(8)
	Files     []string `toml:"files"`    // packages of Debian and Alpine in files
	Folder    string   `toml:"folder"`
	Archive   string   `toml:"archive"`
	Image     string   `toml:"image"`
	Container string   `toml:"container"` // a reference, see oci.ParseReference

	Subdir   string   `toml:"subdir"`  // the folder of the input that is the root
	Exclude  []string `toml:"exclude"` // patterns, as mkimage --exclude takes them
	Include  []string `toml:"include"`
	Owner    string   `toml:"owner"`    // of everything, UID:GID; "": as the input says
	Priority int      `toml:"priority"` // a layer with a higher one may replace paths of others

	owner *rootfs.Owner
}

// Replacement says which of those that have a path counts, whatever their priorities.
type Replacement struct {
	Path string `toml:"path"`
	From string `toml:"from"` // a layer or a package
}

// Rules are those that are on or off as a whole.
type Rules struct {
	MergedUsr    bool   `toml:"merged-usr"`   // bin, sbin and lib* are links into usr
	Alternatives string `toml:"alternatives"` // auto or none
	Presets      bool   `toml:"presets"`      // the units that systemd.preset(5) enables
	// links of busybox: auto (of Alpine's list), none, or the path of the program
	Applets      string `toml:"applets"`
	Certificates bool   `toml:"certificates"` // ca-certificates' bundle and links
	Pam          bool   `toml:"pam"`          // common-* of the profiles in usr/share/pam-configs
	Shells       bool   `toml:"shells"`       // etc/shells
	Tmpfiles     bool   `toml:"tmpfiles"`     // what tmpfiles.d makes that is the same everywhere
	Sysusers     bool   `toml:"sysusers"`     // users and groups of sysusers.d that have numbers
	Libraries    bool   `toml:"libraries"`    // etc/ld.so.cache
	Depmod       bool   `toml:"depmod"`       // the indexes of kernel modules
	Hwdb         bool   `toml:"hwdb"`         // udev's database of hardware
	Catalog      bool   `toml:"catalog"`      // the journal's catalog of messages
	Mime         bool   `toml:"mime"`         // the database of media types
	Applications bool   `toml:"applications"` // the list of applications by media types
	Schemas      bool   `toml:"schemas"`      // compiled settings schemas
	Icons        bool   `toml:"icons"`        // the indexes of icon themes
	Dpkg         string `toml:"dpkg"`         // none, status.d or whole: the list of packages
}

// User is a line of etc/passwd and of etc/shadow. It has no password.
type User struct {
	Name   string   `toml:"name"`
	UID    *uint32  `toml:"uid"`
	GID    *uint32  `toml:"gid"` // nil: a group of the same name and number is made, too
	Gecos  string   `toml:"gecos"`
	Home   string   `toml:"home"`  // "": /nonexistent
	Shell  string   `toml:"shell"` // "": /usr/sbin/nologin
	Groups []string `toml:"groups"`
}

// UserGroup is a line of etc/group and of etc/gshadow.
type UserGroup struct {
	Name    string   `toml:"name"`
	GID     *uint32  `toml:"gid"`
	Members []string `toml:"members"`
}

// File is one path that is made, changed or removed. Just one of Text, Copy, Link, Dir, Remove and
// Attributes is set.
type File struct {
	Path       string  `toml:"path"`
	Text       *string `toml:"text"`
	Copy       string  `toml:"copy"` // a path of the tree
	Link       string  `toml:"link"` // the target of a symbolic link
	Dir        bool    `toml:"dir"`
	Remove     bool    `toml:"remove"` // a pattern, with all below
	Attributes bool    `toml:"attributes"`

	Mode    string `toml:"mode"`    // octal; "": 0644, 0755 for folders, of a copy that of the file
	Owner   string `toml:"owner"`   // USER:GROUP, names of the tree or numbers; "": 0:0
	Replace bool   `toml:"replace"` // what is there may be replaced

	mode *uint16
}

// Acknowledge says that a script does nothing that the image lacks.
type Acknowledge struct {
	Package string `toml:"package"` // "": that of the work
	Script  string `toml:"script"`  // preinst or postinst
	SHA256  string `toml:"sha256"`  // of the script
	Why     string `toml:"why"`
}

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
	return errors.Join(d.Initrd.validate(), d.Tasks.validate())
}

func (w *Tasks) validate() error {
	for i := range w.Users {
		if u := &w.Users[i]; !userName(u.Name) || u.UID == nil {
			return wrong("user %q: want a name and a uid", u.Name)
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
	return err
}
