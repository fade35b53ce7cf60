package layers

import (
	"io"
	"path"
	"strings"

	"deltaup/mkimage/tree"
)

// Difference is a path that two trees do not have alike.
type Difference struct {
	Path     string `json:"path"`
	Kind     string `json:"kind"`     // lacking, additional or changed
	What     string `json:"what"`     // of a changed one: type, target, owner, mode, ...
	Cause    string `json:"cause"`    // one of Causes
	Unwanted bool   `json:"unwanted"` // no image wants it
}

// Kinds of differences of a composed tree from another one.
const (
	lacking    = "lacking"    // only the other tree has it
	additional = "additional" // only the composed tree has it
	changed    = "changed"    // both have it
)

// cause says what paths come from that a composed tree does not have.
type cause struct {
	name     string
	unwanted bool
	patterns []string // of path.Match for a path or a folder above it
}

// causes are looked through in order.
var causes = []cause{
	{"bytecode of Python", true, []string{"*/__pycache__", "*.pyc"}},
	{"keys of one machine", true, []string{"etc/ssh/ssh_host_*", "etc/machine-id",
		"var/lib/dbus/machine-id"}},
	{"dpkg's database", true, []string{"var/lib/dpkg", "var/lib/apt", "var/lib/ucf", "var/lib/pam",
		"var/lib/python", "var/lib/shells.state", "etc/apt/sources.list*"}},
	{"what systemd's helpers note", true, []string{"var/lib/systemd/deb-systemd-*"}},
	{"debconf's database", true, []string{"var/cache/debconf"}},
	{"logs", true, []string{"var/log/*"}},
	{"caches", true, []string{"var/cache/*", "run/*", "tmp/*"}},
	{"backups and locks of databases", true, []string{"etc/*-", "etc/.pwd.lock"}},
	{"links of runlevels, which systemd does not read", true, []string{"etc/rc?.d",
		"etc/runit/runsvdir"}},
	{"device nodes, which the kernel makes", true, []string{"dev/*"}},
	{"files of one machine", true, []string{"etc/hostname", "etc/resolv.conf", "etc/fstab",
		"etc/hosts"}},
	{"boot files, which are artifacts of their own", true, []string{"boot/*", "vmlinuz*",
		"initrd.img*"}},
}

// other is the cause of all differences that need a look.
const other = "to be looked at"

// Causes are all that Compare tells, those to look at first.
var Causes = func() []string {
	names := []string{other}
	for _, c := range causes {
		names = append(names, c.name)
	}
	return names
}()

// explain finds the cause of a difference.
func (d *Difference) explain() {
	d.Cause = other
	if d.Kind == additional {
		return
	}
	for _, c := range causes {
		for _, pattern := range c.patterns {
			if matches(pattern, d.Path) {
				d.Cause, d.Unwanted = c.name, c.unwanted && d.Kind == lacking
				return
			}
		}
	}
}

// matches tells whether a pattern matches a path or a folder above it. One that begins with */
// matches at any depth.
func matches(pattern, name string) bool {
	for at := name; at != ""; at = parent(at) {
		subject := at
		if strings.HasPrefix(pattern, "*/") {
			subject = "x/" + path.Base(at)
		} else if !strings.Contains(pattern, "/") {
			subject = at
		}
		if ok, _ := path.Match(pattern, subject); ok {
			return true
		}
	}
	return false
}

// Compare gives the differences of a composed tree from another one, in path order. Times do not
// count.
func Compare(composed, hooked tree.Tree) (list []Difference, err error) {
	a, b := composed.Entries(), hooked.Entries()
	first := func(t tree.Tree) map[string]int {
		at := map[string]int{}
		for i := range t.Entries() {
			at[t.Entries()[i].Path] = i
		}
		return at
	}
	inA, inB := first(composed), first(hooked)
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case j == len(b) || i < len(a) && tree.Compare(a[i].Path, b[j].Path) < 0:
			list = append(list, Difference{Path: a[i].Path, Kind: additional})
			i++
		case i == len(a) || tree.Compare(a[i].Path, b[j].Path) > 0:
			list = append(list, Difference{Path: b[j].Path, Kind: lacking})
			j++
		default:
			x, y := i, j
			if a[i].Link != "" {
				x = inA[a[i].Link]
			}
			if b[j].Link != "" {
				y = inB[b[j].Link]
			}
			what, err := differs(composed, hooked, x, y)
			if err != nil {
				return nil, err
			}
			if what != "" {
				list = append(list, Difference{Path: a[i].Path, Kind: changed, What: what})
			}
			i++
			j++
		}
	}
	for i := range list {
		list[i].explain()
	}
	return list, nil
}

// Made counts the paths that hooks have made, or changed, in a tree of the same layers, and that an
// image wants: how many they are, and how many the composed tree has alike. bare is the tree of the
// layers alone, see [Stack].
func Made(bare, composed, hooked tree.Tree) (wanted, alike int, err error) {
	made, err := Compare(bare, hooked)
	if err != nil {
		return 0, 0, err
	}
	left, err := Compare(composed, hooked)
	if err != nil {
		return 0, 0, err
	}
	differ := map[string]bool{}
	for _, d := range left {
		differ[d.Path] = true
	}
	for _, d := range made {
		if d.Kind == additional || d.Cause != other {
			continue
		}
		if wanted++; !differ[d.Path] {
			alike++
		}
	}
	return wanted, alike, nil
}

// differs says what differs between two entries, "" for nothing.
func differs(s, t tree.Tree, i, j int) (string, error) {
	a, b := &s.Entries()[i], &t.Entries()[j]
	switch {
	case a.Type != b.Type:
		return "type", nil
	case a.Target != b.Target:
		return "target", nil
	case a.UID != b.UID || a.GID != b.GID:
		return "owner", nil
	case a.Mode != b.Mode:
		return "mode", nil
	case !equalXattrs(a.Xattrs, b.Xattrs):
		return "attributes", nil
	case a.Major != b.Major || a.Minor != b.Minor:
		return "device", nil
	case a.Size != b.Size:
		return "content", nil
	case a.Type != tree.Regular:
		return "", nil
	}
	same, err := sameContent(func() (io.ReadCloser, error) { return s.Open(i) },
		func() (io.ReadCloser, error) { return t.Open(j) })
	if err != nil || same {
		return "", err
	}
	return "content", nil
}
