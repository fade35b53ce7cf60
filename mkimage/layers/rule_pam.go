package layers

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Lines of a template of usr/share/pam between which profiles are put.
const (
	pamPrimary    = `# here are the per-package modules (the "Primary" block)`
	pamFallback   = `# here's the fallback if no module succeeds`
	pamAdditional = `# and here are more per-package modules (the "Additional" block)`
	pamEnd        = `# end of pam-auth-update config`
)

// pamTypes are the stacks that are made, with their fields in a profile.
var pamTypes = []struct{ file, module, field string }{
	{"account", "account", "Account"},
	{"auth", "auth", "Auth"},
	{"password", "password", "Password"},
	{"session", "session", "Session"},
	{"session-noninteractive", "session", "Session-noninteractive"},
}

// pamProfile is a profile of usr/share/pam-configs, by the names of its fields.
type pamProfile struct {
	name     string
	priority int
	fields   map[string]string
}

// pam makes etc/pam.d/common-* as pam-auth-update(8) does for who asks for nothing: of all profiles
// that are on by default.
func (c *composition) pam() error {
	profiles, err := c.pamProfiles()
	if err != nil {
		return err
	}
	for _, t := range pamTypes {
		template, ok, err := c.stage.read("usr/share/pam/common-" + t.file)
		if err != nil {
			return err
		}
		to := "etc/pam.d/common-" + t.file
		if !ok || c.stage.find(to) != nil {
			continue
		}
		text, ok := pamStack(string(template), profiles, t.module, t.field)
		if !ok {
			return fmt.Errorf("/usr/share/pam/common-%s lacks a mark of pam-auth-update", t.file)
		}
		if err := c.stage.write(to, c.stage.made("pam", 0o644, []byte(text))); err != nil {
			return err
		}
	}
	return nil
}

// pamProfiles gives the profiles that are on by default, in the order of the stacks.
func (c *composition) pamProfiles() (list []pamProfile, err error) {
	for _, p := range c.stage.inside("usr/share/pam-configs") {
		content, _, err := c.stage.read(p)
		if err != nil {
			return nil, err
		}
		profile := parsePamProfile(path.Base(p), string(content))
		if profile.fields["Default"] == "yes" {
			list = append(list, profile)
		}
	}
	slices.SortFunc(list, func(a, b pamProfile) int {
		return cmp.Or(b.priority-a.priority, strings.Compare(b.name, a.name))
	})
	taken := map[string]bool{}
	return slices.DeleteFunc(list, func(p pamProfile) bool {
		for _, other := range strings.Split(p.fields["Conflicts"], ", ") {
			if taken[other] {
				return true
			}
		}
		taken[p.name] = true
		return false
	}), nil
}

var pamField = regexp.MustCompile(`^(\S+):\s+(.*?)\s*$`)

func parsePamProfile(name, text string) pamProfile {
	p := pamProfile{name: name, fields: map[string]string{}}
	field := ""
	for line := range strings.Lines(text) {
		if m := pamField.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil && m[2] != "" {
			field = strings.TrimSuffix(m[1], "-Final")
			p.fields[field] = m[2]
			continue
		}
		trimmed := strings.TrimSpace(line)
		if head, ok := strings.CutSuffix(trimmed, ":"); ok && !strings.ContainsAny(head, " \t") {
			field = strings.TrimSuffix(head, "-Final")
			p.fields[field] = ""
			continue
		}
		if trimmed != "" && field != "" {
			p.fields[field] = strings.TrimLeft(p.fields[field]+"\n"+trimmed, "\n")
		}
	}
	if _, interactive := p.fields["Session-Interactive-Only"]; !interactive {
		for _, f := range []string{"-Type", "", "-Initial"} {
			if v, ok := p.fields["Session"+f]; ok {
				p.fields["Session-noninteractive"+f] = v
			}
		}
	}
	p.priority, _ = strconv.Atoi(p.fields["Priority"])
	return p
}

// pamStack fills the two blocks of a template.
func pamStack(template string, profiles []pamProfile, module, field string) (string, bool) {
	var out strings.Builder
	marks := []string{pamPrimary, pamFallback, pamAdditional, pamEnd}
	next := 0
	for line := range strings.Lines(template) {
		mark := next < len(marks) && strings.HasPrefix(line, marks[next])
		if next%2 == 1 && !mark {
			continue // the template's own lines of a block
		}
		out.WriteString(line)
		if !mark {
			continue
		}
		switch next {
		case 0:
			out.WriteString(pamBlock(profiles, module, field, "Primary"))
		case 2:
			out.WriteString(pamBlock(profiles, module, field, "Additional"))
		}
		next++
	}
	return out.String(), next == len(marks)
}

var pamLine = regexp.MustCompile(`^((?:\[[^]]+\]|\w+)\s+\S+)\s*(.*)`)

// pamBlock gives the lines of a block. "end" in a line is the number of lines to jump over.
func pamBlock(profiles []pamProfile, module, field, block string) string {
	var lines []string
	first := true
	for _, p := range profiles {
		if p.fields[field+"-Type"] != block {
			continue
		}
		text := p.fields[field]
		if initial := p.fields[field+"-Initial"]; first && initial != "" {
			text = initial
		}
		first = false
		lines = append(lines, strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })...)
	}
	count := len(lines)
	if block == "Additional" {
		count--
	}
	if block == "Primary" && count == 0 {
		return module + "\t[default=1]\t\t\tpam_permit.so\n"
	}
	var out strings.Builder
	for _, line := range lines {
		m := pamLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		head := strings.ReplaceAll(m[1], "end", strconv.Itoa(count))
		fmt.Fprintf(&out, "%s\t%s %s\n", module, head, strings.Join(strings.Fields(m[2]), " "))
		count--
	}
	return out.String()
}
