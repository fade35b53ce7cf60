package layers

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// units enables and masks units of systemd as systemctl(1) does, by the [Install] sections of their
// files.
func (c *composition) units() error {
	var enable, disable, mask []string
	system, users := unitsOf("system"), unitsOf("user")
	for _, w := range c.tasks() {
		for _, name := range w.EnableUser {
			if err := c.enable(users, name); err != nil {
				return err
			}
		}
		enable = append(enable, w.Enable...)
		disable = append(disable, w.Disable...)
		mask = append(mask, w.Mask...)
	}
	if c.definition.Rules.Presets {
		preset, err := c.presets()
		if err != nil {
			return err
		}
		enable = append(preset, enable...)
	}
	for _, name := range enable {
		if slices.Contains(disable, name) {
			continue
		}
		if err := c.enable(system, name); err != nil {
			return err
		}
	}
	for _, name := range mask {
		if path.Base(name) != name || !strings.Contains(name, ".") {
			return wrong("mask %q: want the name of a unit, such as apt-daily.timer", name)
		}
		at := path.Join("etc/systemd/system", name)
		if err := c.stage.write(at, c.stage.symlink("units", "/dev/null")); err != nil {
			return err
		}
	}
	return nil
}

// managed are the units of one kind of systemd: the system's, or users' own.
type managed struct {
	local, vendor string          // folders; what is in the first counts
	done          map[string]bool // units that have been enabled
}

func unitsOf(kind string) *managed {
	return &managed{"etc/systemd/" + kind, "usr/lib/systemd/" + kind, map[string]bool{}}
}

// unit finds the file of a unit. name may be an instance of a template.
func (c *composition) unit(m *managed, name string) (dir, file string, ok bool) {
	names := []string{name}
	if base, rest, instance := strings.Cut(name, "@"); instance {
		names = append(names, base+"@"+path.Ext(rest))
	}
	for _, n := range names {
		for _, dir := range []string{m.local, m.vendor} {
			if c.stage.find(path.Join(dir, n)) != nil {
				return dir, n, true
			}
		}
	}
	return "", "", false
}

// enable makes the links that a unit's [Install] section asks for.
func (c *composition) enable(m *managed, name string) error {
	if m.done[name] {
		return nil
	}
	m.done[name] = true
	dir, file, ok := c.unit(m, name)
	if !ok {
		return wrong("the tree has no unit %s", name)
	}
	content, _, err := c.stage.read(path.Join(dir, file))
	if err != nil {
		return err
	}
	install := installSection(string(content))
	if base, rest, template := strings.Cut(name, "@"); template && name == file {
		instance := install["DefaultInstance"]
		if len(instance) == 0 {
			return wrong("%s is a template without a default instance; name one of its own",
				name)
		}
		name = base + "@" + instance[0] + rest
	}
	target := "/" + path.Join(c.unitPrefix(dir), file)
	links := []string{}
	for _, alias := range install["Alias"] {
		if path.Base(alias) != alias {
			return wrong("%s has the alias %q", name, alias)
		}
		links = append(links, alias)
	}
	for key, suffix := range map[string]string{
		"WantedBy": ".wants", "RequiredBy": ".requires", "UpheldBy": ".upholds",
	} {
		for _, by := range install[key] {
			if path.Base(by) != by {
				return wrong("%s is %s %q", name, key, by)
			}
			links = append(links, path.Join(by+suffix, name))
		}
	}
	for _, l := range links {
		l = strings.NewReplacer("%i", instanceOf(name), "%p", prefixOf(name), "%n", name).Replace(l)
		at := path.Join(m.local, l)
		if err := c.stage.write(at, c.stage.symlink("units", target)); err != nil {
			return err
		}
	}
	for _, also := range install["Also"] {
		if _, _, ok := c.unit(m, also); !ok {
			continue // as systemctl does
		}
		if err := c.enable(m, also); err != nil {
			return err
		}
	}
	return nil
}

// unitPrefix is how systemctl of the tree spells the folder of units: Debian's looked in lib before
// usr/lib until version 12.
func (c *composition) unitPrefix(dir string) string {
	if c.splitUsr && dir == "usr/lib/systemd/system" {
		return "lib/systemd/system"
	}
	return dir
}

func instanceOf(name string) string {
	_, rest, _ := strings.Cut(name, "@")
	return strings.TrimSuffix(rest, path.Ext(rest))
}

func prefixOf(name string) string {
	base, _, _ := strings.Cut(strings.TrimSuffix(name, path.Ext(name)), "@")
	return base
}

// installSection gives the words of each key of a unit's [Install] section.
func installSection(text string) map[string][]string {
	keys := map[string][]string{}
	in := false
	for _, line := range logicalLines(text) {
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			in = line == "[Install]"
		case in:
			key, value, _ := strings.Cut(line, "=")
			key, value = strings.TrimSpace(key), strings.TrimSpace(value)
			if value == "" {
				delete(keys, key)
			}
			keys[key] = append(keys[key], strings.Fields(value)...)
		}
	}
	return keys
}

// logicalLines gives the lines of a text, those that a backslash continues joined.
func logicalLines(text string) (lines []string) {
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// presets gives the units that systemd.preset(5) enables, in order. A unit that no line names is
// enabled, as systemd does it.
func (c *composition) presets() (enabled []string, err error) {
	type line struct {
		enable  bool
		pattern string
	}
	var lines []line
	for _, p := range c.stage.dropIns(".preset", "usr/lib/systemd/system-preset",
		"etc/systemd/system-preset") {
		content, _, err := c.stage.read(p)
		if err != nil {
			return nil, err
		}
		for text := range strings.Lines(string(content)) {
			w := strings.Fields(text)
			if len(w) < 2 || w[0] != "enable" && w[0] != "disable" {
				continue
			}
			if _, err := path.Match(w[1], ""); err != nil {
				return nil, fmt.Errorf("/%s: %q: %w", p, w[1], err)
			}
			lines = append(lines, line{w[0] == "enable", w[1]})
		}
	}
	for _, p := range c.stage.inside("usr/lib/systemd/system") {
		name := path.Base(p)
		content, ok, err := c.stage.read(p)
		if err != nil || !ok || len(installSection(string(content))) == 0 {
			continue // links, folders, and what nothing installs
		}
		enable := true
		for _, l := range lines {
			if match, _ := path.Match(l.pattern, name); match {
				enable = l.enable
				break
			}
		}
		if _, rest, template := strings.Cut(name, "@"); template && strings.HasPrefix(rest, ".") &&
			len(installSection(string(content))["DefaultInstance"]) == 0 {
			continue
		}
		if enable {
			enabled = append(enabled, name)
		}
	}
	return enabled, nil
}
