package layers

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// accounts are the four databases of users and groups, as lines of fields.
type accounts struct {
	passwd, group, shadow, gshadow []string
}

const secondsADay = 24 * 60 * 60

// users makes the databases of users and groups: what layers have, else Debian's master files, then
// the users and groups of sysusers.d(5) that have numbers, then the definition's.
func (c *composition) users() error {
	a, err := c.readAccounts()
	if err != nil || a == nil {
		return err
	}
	if c.definition.Rules.Sysusers {
		if err := c.sysusers(a); err != nil {
			return err
		}
	}
	for _, w := range c.tasks() {
		for i := range w.Groups {
			g := &w.Groups[i]
			if err := a.addGroup(g.Name, *g.GID, g.Members); err != nil {
				return err
			}
		}
		for i := range w.Users {
			if err := a.addUser(&w.Users[i], c.stage.time); err != nil {
				return err
			}
		}
	}
	return c.writeAccounts(a)
}

// readAccounts gives nil where there are no users at all.
func (c *composition) readAccounts() (*accounts, error) {
	a := &accounts{}
	for _, db := range []struct {
		lines *[]string
		names []string
	}{
		{&a.passwd, []string{"etc/passwd", "usr/share/base-passwd/passwd.master"}},
		{&a.group, []string{"etc/group", "usr/share/base-passwd/group.master"}},
		{&a.shadow, []string{"etc/shadow"}},
		{&a.gshadow, []string{"etc/gshadow"}},
	} {
		for _, name := range db.names {
			content, ok, err := c.stage.read(name)
			if err != nil {
				return nil, err
			}
			if ok {
				*db.lines = strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
				break
			}
		}
	}
	declared := func(w *Tasks) bool { return len(w.Users)+len(w.Groups) > 0 }
	if a.passwd == nil && a.group == nil && !slices.ContainsFunc(c.tasks(), declared) {
		return nil, nil
	}
	for i, line := range a.passwd {
		fields := strings.Split(line, ":")
		if len(fields) != 7 {
			return nil, fmt.Errorf("etc/passwd: the line %q has not seven fields", line)
		}
		if !has(a.shadow, fields[0]) {
			a.shadow = append(a.shadow, fmt.Sprintf("%s:*:%d:0:99999:7:::", fields[0],
				c.stage.time/secondsADay))
		}
		fields[1] = "x"
		a.passwd[i] = strings.Join(fields, ":")
	}
	for i, line := range a.group {
		fields := strings.Split(line, ":")
		if len(fields) != 4 {
			return nil, fmt.Errorf("etc/group: the line %q has not four fields", line)
		}
		if !has(a.gshadow, fields[0]) {
			a.gshadow = append(a.gshadow, fields[0]+":*::"+fields[3])
		}
		fields[1] = "x"
		a.group[i] = strings.Join(fields, ":")
	}
	return a, nil
}

func (c *composition) writeAccounts(a *accounts) error {
	shadow, ok := c.number("etc/group", "shadow")
	for _, line := range a.group {
		if fields := strings.Split(line, ":"); fields[0] == "shadow" {
			n, err := strconv.ParseUint(fields[2], 10, 32)
			shadow, ok = uint32(n), err == nil
		}
	}
	for _, db := range []struct {
		name  string
		lines []string
		mode  uint16
	}{
		{"etc/passwd", a.passwd, 0o644},
		{"etc/group", a.group, 0o644},
		{"etc/shadow", a.shadow, 0o640},
		{"etc/gshadow", a.gshadow, 0o640},
	} {
		f := c.stage.made("users", db.mode, []byte(strings.Join(db.lines, "\n")+"\n"))
		if db.mode == 0o640 && ok {
			f.GID = shadow
		}
		if err := c.stage.write(db.name, f); err != nil {
			return err
		}
	}
	return nil
}

// has tells whether a database has a name.
func has(lines []string, name string) bool {
	return slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+":") })
}

// byNumber gives the name that has a number, or "".
func byNumber(lines []string, number uint32) string {
	for _, line := range lines {
		fields := strings.Split(line, ":")
		if len(fields) > 2 && fields[2] == strconv.FormatUint(uint64(number), 10) {
			return fields[0]
		}
	}
	return ""
}

// addGroup adds a group, or members to the one that has its name and number.
func (a *accounts) addGroup(name string, gid uint32, members []string) error {
	if has(a.group, name) {
		if other := byNumber(a.group, gid); other != name {
			return fmt.Errorf("%w: group %s has another number than %d", ErrConflict, name, gid)
		}
	} else {
		if other := byNumber(a.group, gid); other != "" {
			return fmt.Errorf("%w: group %s: %s has the number %d", ErrConflict, name, other, gid)
		}
		a.group = append(a.group, fmt.Sprintf("%s:x:%d:", name, gid))
		a.gshadow = append(a.gshadow, name+":!::")
	}
	for _, m := range members {
		addMember(a.group, name, m)
		addMember(a.gshadow, name, m)
	}
	return nil
}

// addMember adds a user to the last field of a group's line.
func addMember(lines []string, group, user string) {
	for i, line := range lines {
		if !strings.HasPrefix(line, group+":") {
			continue
		}
		at := strings.LastIndexByte(line, ':') + 1
		members := strings.FieldsFunc(line[at:], func(r rune) bool { return r == ',' })
		if !slices.Contains(members, user) {
			lines[i] = line[:at] + strings.Join(append(members, user), ",")
		}
	}
}

// addUser adds a user that cannot log in by a password.
func (a *accounts) addUser(u *User, time uint32) error {
	if has(a.passwd, u.Name) {
		return fmt.Errorf("%w: user %s is there", ErrConflict, u.Name)
	}
	if other := byNumber(a.passwd, *u.UID); other != "" {
		return fmt.Errorf("%w: user %s: %s has the number %d", ErrConflict, u.Name, other, *u.UID)
	}
	gid := *u.UID
	if u.GID != nil {
		gid = *u.GID
	}
	if u.GID == nil || byNumber(a.group, gid) == "" {
		if err := a.addGroup(u.Name, gid, nil); err != nil {
			return err
		}
	}
	home, shell := u.Home, u.Shell
	if home == "" {
		home = "/nonexistent"
	}
	if shell == "" {
		shell = "/usr/sbin/nologin"
	}
	a.passwd = append(a.passwd, fmt.Sprintf("%s:x:%d:%d:%s:%s:%s", u.Name, *u.UID, gid, u.Gecos,
		home, shell))
	a.shadow = append(a.shadow, fmt.Sprintf("%s:!:%d::::::", u.Name, time/secondsADay))
	for _, g := range u.Groups {
		if !has(a.group, g) {
			return wrong("user %s: there is no group %s", u.Name, g)
		}
		addMember(a.group, g, u.Name)
		addMember(a.gshadow, g, u.Name)
	}
	return nil
}
