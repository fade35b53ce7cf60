package layers

import (
	"slices"
	"strconv"
	"strings"
)

// sysusers adds what sysusers.d(5) declares with numbers and nothing else has. What it leaves to be
// numbered the definition must name, or systemd makes it at boot, with numbers of its own.
func (c *composition) sysusers(a *accounts) error {
	declared := map[string]bool{}
	for _, w := range c.tasks() {
		for i := range w.Users {
			declared[w.Users[i].Name] = true
		}
		for i := range w.Groups {
			declared[w.Groups[i].Name] = true
		}
	}
	var lines [][]string
	for _, p := range c.stage.dropIns(".conf", "usr/lib/sysusers.d", "etc/sysusers.d") {
		content, _, err := c.stage.read(p)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(content)) {
			if w := words(line); len(w) > 2 && !strings.HasPrefix(w[0], "#") {
				lines = append(lines, w)
			}
		}
	}
	kind := func(line []string) int { return strings.IndexByte("gum", line[0][0]) }
	slices.SortStableFunc(lines, func(x, y []string) int { return kind(x) - kind(y) })
	for _, w := range lines {
		if err := c.sysuser(a, w, declared); err != nil {
			return err
		}
	}
	return nil
}

func (c *composition) sysuser(a *accounts, w []string, declared map[string]bool) error {
	name := w[1]
	id, group, both := strings.Cut(w[2], ":")
	n, err := strconv.ParseUint(id, 10, 32)
	switch {
	case !userName(name) || declared[name]:
		return nil
	case w[0] == "m":
		if has(a.passwd, name) && has(a.group, w[2]) {
			addMember(a.group, w[2], name)
			addMember(a.gshadow, w[2], name)
		}
		return nil
	case err != nil: // to be numbered, or taken from a path
		return nil
	case w[0] == "g" && !has(a.group, name):
		return a.addGroup(name, uint32(n), nil)
	case strings.TrimRight(w[0], "!") != "u" || has(a.passwd, name):
		return nil
	}
	field := fieldsOf(w)
	uid := uint32(n)
	u := User{Name: name, UID: &uid, Gecos: field(3), Home: field(4), Shell: field(5)}
	if both {
		if g, err := strconv.ParseUint(group, 10, 32); err == nil {
			gid := uint32(g)
			u.GID = &gid
		}
	} else if existing := byNumber(a.group, uid); existing == name {
		u.GID = &uid
	}
	if u.Home == "" {
		u.Home = "/"
	}
	return a.addUser(&u, c.stage.time)
}

// words splits a line at spaces, with quotes as systemd's files have them.
func words(line string) (list []string) {
	var word strings.Builder
	var quote rune
	in := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, in = r, true
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			if in {
				list = append(list, word.String())
			}
			word.Reset()
			in = false
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if in {
		list = append(list, word.String())
	}
	return list
}

// fieldsOf gives what takes a field of a line; "-" and a field that is missing are "".
func fieldsOf(words []string) func(i int) string {
	return func(i int) string {
		if i < len(words) && words[i] != "-" {
			return words[i]
		}
		return ""
	}
}
