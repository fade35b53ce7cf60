package layers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/pelletier/go-toml/v2"

	"deltaup/mkimage/rootfs"
)

// definitionMax is how long a definition may be, in bytes.
const definitionMax = 4 << 20

// Definition says what an image is composed from, and by which rules. doc/layers.md describes its
// file.
type Definition struct {
	dir string // of the file: relative paths begin there

	Architecture string `toml:"architecture"` // as Debian calls it
	Time         uint32 `toml:"time"`         // the latest time in the image, seconds since 1970

	Apt    Apt           `toml:"apt"`
	Layers []Layer       `toml:"layer"`
	Rules  Rules         `toml:"rules"`
	Users  []User        `toml:"user"`
	Groups []Group       `toml:"group"`
	Files  []File        `toml:"file"`
	Acks   []Acknowledge `toml:"ack"`
}

// Apt says where packages come from.
type Apt struct {
	Sources    []string `toml:"sources"` // lines of sources.list(5)
	Keyring    string   `toml:"keyring"`
	Recommends bool     `toml:"recommends"` // packages that others recommend come, too
}

// Layer is one of the things that a tree is composed from, upon those before. Just one of Packages,
// Folder, Archive and Image is set.
type Layer struct {
	Name     string   `toml:"name"`
	Packages []string `toml:"packages"` // names or patterns of apt(8)
	Folder   string   `toml:"folder"`
	Archive  string   `toml:"archive"`
	Image    string   `toml:"image"`

	Subdir   string   `toml:"subdir"`   // the folder of the input that is the root
	Exclude  []string `toml:"exclude"`  // patterns, as mkimage --exclude takes them
	Include  []string `toml:"include"`
	Owner    string   `toml:"owner"`    // of everything, UID:GID; "": as the input says
	Priority int      `toml:"priority"` // a layer with a higher one may replace paths of others

	owner *rootfs.Owner
}

// Rules are those that are on or off as a whole.
type Rules struct {
	MergedUsr    bool   `toml:"merged-usr"`   // bin, sbin and lib* are links into usr
	Alternatives string `toml:"alternatives"` // auto or none
	Units        Units  `toml:"units"`
	Certificates bool   `toml:"certificates"` // ca-certificates' bundle and links
	Pam          bool   `toml:"pam"`          // common-* of the profiles in usr/share/pam-configs
	Shells       bool   `toml:"shells"`       // etc/shells
	Tmpfiles     bool   `toml:"tmpfiles"`     // what tmpfiles.d makes that is the same everywhere
	Sysusers     bool   `toml:"sysusers"`     // users and groups of sysusers.d that have numbers
	Dpkg         string `toml:"dpkg"`         // none, status.d or whole: the list of packages
}

// Units says which units of systemd are enabled.
type Units struct {
	Presets bool     `toml:"presets"` // those that systemd.preset(5) enables
	Enable  []string `toml:"enable"`
	Disable []string `toml:"disable"` // though a preset enables them
	Mask    []string `toml:"mask"`
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

// Group is a line of etc/group and of etc/gshadow.
type Group struct {
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

	Mode    string `toml:"mode"`  // octal; "": 0644, 0755 for folders, of a copy that of the file
	Owner   string `toml:"owner"` // USER:GROUP, names of the tree or numbers; "": 0:0
	Replace bool   `toml:"replace"` // what is there may be replaced

	mode *uint16
}

// Acknowledge says that a script does nothing that the image lacks.
type Acknowledge struct {
	Package string `toml:"package"`
	Script  string `toml:"script"` // preinst or postinst
	SHA256  string `toml:"sha256"` // of the script
	Why     string `toml:"why"`
}

// ReadDefinition reads the definition in a file. Errors name the file and wrap ErrDefinition, or are
// the system's.
func ReadDefinition(name string) (*Definition, error) {
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
	d, err := parseDefinition(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	d.dir = filepath.Dir(name)
	return d, nil
}

func parseDefinition(text []byte) (*Definition, error) {
	d := &Definition{Rules: Rules{
		MergedUsr: true, Alternatives: "auto", Certificates: true, Pam: true, Shells: true,
		Tmpfiles: true, Sysusers: true, Dpkg: "none", Units: Units{Presets: true},
	}}
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(d); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return nil, fmt.Errorf("%w: this is none of its keys:\n%s", ErrDefinition, strict.String())
		}
		return nil, fmt.Errorf("%w: %w", ErrDefinition, err)
	}
	return d, d.validate()
}

// Path gives a path of this machine that the definition names.
func (d *Definition) Path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.dir, name)
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
	for _, word := range []struct {
		name, value string
		values      []string
	}{
		{"alternatives", d.Rules.Alternatives, []string{"auto", "none"}},
		{"dpkg", d.Rules.Dpkg, []string{"none", "status.d", "whole"}},
	} {
		if !contains(word.values, word.value) {
			return wrong("rules: %s is %q, want one of %q", word.name, word.value, word.values)
		}
	}
	for i := range d.Users {
		if u := &d.Users[i]; !userName(u.Name) || u.UID == nil {
			return wrong("user %q: want a name and a uid", u.Name)
		}
	}
	for i := range d.Groups {
		if g := &d.Groups[i]; !userName(g.Name) || g.GID == nil {
			return wrong("group %q: want a name and a gid", g.Name)
		}
	}
	for i := range d.Files {
		if err := d.Files[i].validate(); err != nil {
			return err
		}
	}
	return nil
}

func (l *Layer) validate() error {
	n := 0
	for _, set := range []bool{len(l.Packages) > 0, l.Folder != "", l.Archive != "", l.Image != ""} {
		if set {
			n++
		}
	}
	if n != 1 {
		return wrong("want just one of packages, folder, archive and image")
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
