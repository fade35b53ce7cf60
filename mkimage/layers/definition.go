package layers

import (
	"deltaup/mkimage/adopt"
	"deltaup/mkimage/rootfs"
)

// Definition says what an image is composed from, and by which rules. doc/layers.md describes its
// file.
type Definition struct {
	Architecture string `toml:"architecture"` // as Debian calls it
	Time         uint32 `toml:"time"`         // the latest time in the image, seconds since 1970

	Include  []string       `toml:"include"` // definitions that come before this one
	Apt      Apt            `toml:"apt"`
	Apk      Apk            `toml:"apk"`
	Layers   []Layer        `toml:"layer"`
	Replace  []Replacement  `toml:"replace"`
	Rules    Rules          `toml:"rules"`
	Deltaup  adopt.Settings `toml:"deltaup"`
	Initrd   Initrd         `toml:"initrd"`
	Packages []PackageTasks `toml:"package"`
	Tasks                   // of the whole image

	sources []string // the files that it was read from
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

// Apk says where packages of Alpine come from.
type Apk struct {
	Repositories []string `toml:"repositories"` // lines of apk-repositories(5)
	// folder with public keys: one of them must have signed each index and each package
	Keys         string `toml:"keys"`
	Architecture string `toml:"architecture"` // as Alpine calls it; "": that of the image
	Vendor       string `toml:"vendor"`       // as package URLs have it; "": alpine
}

// Layer is one of the things that a tree is composed from, upon those before. Just one of Packages,
// Files, Folder, Archive, Image and Container is set.
type Layer struct {
	Name      string   `toml:"name"`
	Packages  []string `toml:"packages"` // names or patterns of apt(8), or a world of apk(8)
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
	Fonts        bool   `toml:"fonts"`        // fontconfig's caches of folders with fonts
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
