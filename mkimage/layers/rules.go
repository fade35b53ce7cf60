package layers

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"deltaup/mkimage/adopt"
	"deltaup/mkimage/tree"
)

// rule does what scripts of packages would do to a tree. It does nothing where the tree has not
// what it works on.
type rule struct {
	name  string
	on    func(*Rules) bool // nil: it says itself what of it is on
	apply func(c *composition) error
}

// rules are all of them, in the order in which they are applied. Users come first, since files have
// them as owners; what is computed of the whole tree comes last.
var rules = []rule{
	{"users", nil, (*composition).users},
	{"deltaup", nil, (*composition).adopt},
	{"files", nil, (*composition).files},
	{"applets", nil, (*composition).applets},
	{"alternatives", nil, (*composition).alternatives},
	{"certificates", func(r *Rules) bool { return r.Certificates }, (*composition).certificates},
	{"pam", func(r *Rules) bool { return r.Pam }, (*composition).pam},
	{"shells", func(r *Rules) bool { return r.Shells }, (*composition).shells},
	{"units", nil, (*composition).units},
	{"tmpfiles", func(r *Rules) bool { return r.Tmpfiles }, (*composition).tmpfiles},
	{"hwdb", func(r *Rules) bool { return r.Hwdb }, (*composition).hardware},
	{"catalog", func(r *Rules) bool { return r.Catalog }, (*composition).messages},
	{"mime", func(r *Rules) bool { return r.Mime }, (*composition).mediaTypes},
	{"applications", func(r *Rules) bool { return r.Applications }, (*composition).applications},
	{"schemas", func(r *Rules) bool { return r.Schemas }, (*composition).schemas},
	{"icons", func(r *Rules) bool { return r.Icons }, (*composition).icons},
	{"fonts", func(r *Rules) bool { return r.Fonts }, (*composition).fonts},
	{"depmod", func(r *Rules) bool { return r.Depmod }, (*composition).kernelModules},
	{"libraries", func(r *Rules) bool { return r.Libraries }, (*composition).libraries},
	{"dpkg", nil, (*composition).dpkg},
}

// off tells whether a name is that of a rule that is off.
func (r *Rules) off(name string) bool {
	if name == "sysusers" { // a part of users
		return !r.Sysusers
	}
	return slices.ContainsFunc(rules, func(of rule) bool {
		return of.name == name && of.on != nil && !of.on(r)
	})
}

// adopt puts deltaup itself into the tree.
func (c *composition) adopt() error {
	s, d := c.stage, c.definition
	if d.Deltaup == (adopt.Settings{}) {
		return nil
	}
	files, err := adopt.Files(d.Deltaup, d.Architecture, func(p string) bool { return s.find(p) != nil })
	if err != nil {
		return err
	}
	for _, f := range files {
		var made *file
		switch {
		case f.Folder && s.find(f.Path) != nil:
			continue
		case f.Folder:
			made = folder(f.Mode, s.time)
			made.from = "deltaup"
		case f.Target != "":
			made = s.symlink("deltaup", f.Target)
		default:
			made = s.made("deltaup", f.Mode, f.Content)
		}
		if err := s.write(f.Path, made); err != nil {
			return err
		}
	}
	return nil
}

// files makes, changes and removes the definition's paths, in its order.
func (c *composition) files() error {
	for _, w := range c.tasks() {
		for i := range w.Files {
			if err := c.file(&w.Files[i]); err != nil {
				return fmt.Errorf("/%s: %w", w.Files[i].Path, err)
			}
		}
	}
	return nil
}

func (c *composition) file(f *File) error {
	s := c.stage
	if f.Remove {
		return c.remove(f.Path)
	}
	at, ok := s.resolve(f.Path)
	if !ok {
		return wrong("it leads in a circle")
	}
	old := s.files[at]
	if f.Attributes {
		if old == nil {
			return wrong("the tree has it not")
		}
		return c.attributes(old, f)
	}
	if old != nil && !f.Replace && !(f.Dir && old.Type == tree.Directory) {
		return fmt.Errorf("%w: %s has it; replace = true takes its place", ErrConflict, old.from)
	}
	var made *file
	switch {
	case f.Text != nil:
		made = s.made("file", 0o644, []byte(*f.Text))
	case f.Link != "":
		made = s.symlink("file", f.Link)
	case f.Dir && old != nil && old.Type == tree.Directory:
		return c.attributes(old, f)
	case f.Dir:
		made = folder(0o755, s.time)
		made.from = "file"
	default:
		from := s.find(f.Copy)
		if from == nil || from.Type != tree.Regular {
			return wrong("copy: the tree has no regular file /%s", f.Copy)
		}
		again := *from
		made = &again
		made.from = "file"
	}
	if err := c.attributes(made, f); err != nil {
		return err
	}
	if old != nil && old.Type == tree.Directory && made.Type != tree.Directory {
		s.remove(at)
	}
	return s.write(at, made)
}

// attributes gives a file the mode and owner that the definition says.
func (c *composition) attributes(to *file, f *File) error {
	if f.mode != nil && to.Type != tree.Symlink {
		to.Mode = *f.mode
	}
	if f.Owner == "" {
		return nil
	}
	user, group, ok := strings.Cut(f.Owner, ":")
	if !ok {
		return wrong("owner %q: want USER:GROUP", f.Owner)
	}
	uid, ok := c.number("etc/passwd", user)
	gid, ok2 := c.number("etc/group", group)
	if !ok || !ok2 {
		return wrong("owner %q: the tree has no number for it", f.Owner)
	}
	to.UID, to.GID = uid, gid
	return nil
}

// number gives the number of a user or a group, from the third field of its line.
func (c *composition) number(database, name string) (uint32, bool) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(n), true
	}
	content, _, err := c.stage.read(database)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Split(line, ":"); len(fields) > 3 && fields[0] == name {
			n, err := strconv.ParseUint(fields[2], 10, 32)
			return uint32(n), err == nil
		}
	}
	return 0, false
}

// remove removes what matches a pattern, with all below.
func (c *composition) remove(pattern string) error {
	found := false
	for _, p := range c.stage.paths() {
		if ok, _ := path.Match(pattern, p); ok { // reading the definition has checked it
			c.stage.remove(p)
			found = true
		}
	}
	if !found {
		return wrong("remove: the tree has no such path")
	}
	return nil
}

// shells makes etc/shells as update-shells(8) does, of the list of the system and of packages'.
func (c *composition) shells() error {
	s := c.stage
	base, ok, err := s.read("usr/share/debianutils/shells")
	if err != nil || !ok || s.find("etc/shells") != nil {
		return err
	}
	own, real := []string{}, []string{}
	lists := append([]string{"usr/share/debianutils/shells"},
		s.inside("usr/share/debianutils/shells.d")...)
	for _, list := range lists {
		content, _, err := s.read(list)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(content)) {
			shell, _, _ := strings.Cut(strings.TrimSpace(line), "#")
			if shell == "" {
				continue
			}
			// a shell in a folder that is a link has two names
			dir, _ := s.follow(parent(strings.TrimPrefix(shell, "/")))
			own, real = append(own, shell), append(real, "/"+path.Join(dir, path.Base(shell)))
		}
	}
	var order []string
	for i := range own {
		order = append(order, own[i], real[i])
	}
	if s.find("usr/lib/usrmerge") != nil { // it merges usr once the shells are listed
		order = append(own, real...)
	}
	text := string(base)
	for _, shell := range order {
		if !strings.Contains("\n"+text, "\n"+shell+"\n") {
			text += shell + "\n"
		}
	}
	return s.write("etc/shells", s.made("shells", 0o644, []byte(text)))
}
