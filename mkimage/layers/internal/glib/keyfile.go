package glib

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Space is what GLib takes for white space.
const Space = " \t\n\f\r"

// KeyGroup is a group of a key file.
type KeyGroup struct {
	Name   string
	Keys   []string // in their order
	Values map[string]string
}

// ParseKeyFile reads a GKeyFile. Groups and keys of one name are one; the last value counts. Not
// ok: it is no key file.
func ParseKeyFile(text string) (groups []*KeyGroup, ok bool) {
	var group *KeyGroup
	byName := map[string]*KeyGroup{}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		line, _, _ = strings.Cut(line, "\x00")
		line = strings.TrimLeft(line, Space)
		if line == "" || line[0] == '#' {
			continue
		}
		if name, ok := groupName(line); ok {
			if name == "" || strings.ContainsFunc(name, func(c rune) bool {
				return c == '[' || c < ' ' || c == 0x7f
			}) {
				return nil, false
			}
			if group = byName[name]; group == nil {
				group = &KeyGroup{Name: name, Values: map[string]string{}}
				byName[name] = group
				groups = append(groups, group)
			}
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimRight(key, Space), strings.TrimLeft(value, Space)
		if !ok || group == nil || !keyName(key) {
			return nil, false
		}
		if group == groups[0] && key == "Encoding" && !strings.EqualFold(value, "UTF-8") {
			return nil, false
		}
		if _, ok := group.Values[key]; !ok {
			group.Keys = append(group.Keys, key)
		}
		group.Values[key] = value
	}
	return groups, true
}

// groupName gives the name in [NAME], with blanks behind it.
func groupName(line string) (string, bool) {
	if line[0] != '[' {
		return "", false
	}
	name, rest, ok := strings.Cut(line[1:], "]")
	return name, ok && strings.Trim(rest, " \t") == ""
}

// keyName tells whether a key is one of GLib's: NAME or NAME[LOCALE].
func keyName(key string) bool {
	name, locale, ok := strings.Cut(key, "[")
	if name == "" || name[0] == ' ' || strings.HasSuffix(name, " ") || strings.Contains(name, "]") {
		return false
	}
	if !ok {
		return true
	}
	locale, ok = strings.CutSuffix(locale, "]")
	return ok && !strings.ContainsFunc(locale, func(c rune) bool {
		return c == utf8.RuneError || !unicode.IsLetter(c) && !unicode.IsNumber(c) &&
			!strings.ContainsRune("-_.@", c)
	})
}

// List takes a value apart at semicolons. Not ok: it has an escape that is none, or is no UTF-8.
func List(value string) (parts []string, ok bool) {
	if !utf8.ValidString(value) {
		return nil, false
	}
	var part []byte
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c == ';' {
			parts, part = append(parts, string(part)), nil
			continue
		}
		if c == '\\' {
			i++
			if i == len(value) {
				return nil, false
			}
			at := strings.IndexByte(`sntr\;`, value[i])
			if at < 0 {
				return nil, false
			}
			c = " \n\t\r\\;"[at]
		}
		part = append(part, c)
	}
	if len(part) > 0 {
		parts = append(parts, string(part))
	}
	return parts, true
}
