package fontcache

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// rule changes the patterns of fonts that pass its tests: <match target="scan">.
type rule []step

// step is a test or a change of a property.
type step struct {
	edit   bool
	object object
	how    string // what a test compares, or where an edit puts values
	which  string // of a test's values: any, all, first or not_first
	blanks bool   // blanks count
	values []value
}

// properties that rules may have, by their names
var ruleObjects = map[string]object{
	"family": family, "familylang": familyLang, "style": style, "stylelang": styleLang,
	"fullname": fullName, "fullnamelang": fullNameLang, "foundry": foundry, "file": file,
	"fontformat": fontFormat, "postscriptname": postScriptName, "capability": capability,
	"slant": slant, "weight": weight, "width": width, "spacing": spacing, "index": index,
	"fontversion": fontVersion, "order": order, "pixelsize": pixelSize,
	"outline": outline, "scalable": scalable, "antialias": antialias, "color": color,
	"symbol": symbol, "variable": variable, "decorative": decorative, "fonthashint": fontHasHint,
}

// text tells whether a property's values are texts.
func (o object) text() bool {
	switch o {
	case family, familyLang, style, styleLang, fullName, fullNameLang, foundry, file, fontFormat,
		postScriptName, capability:
		return true
	}
	return false
}

// flag tells whether a property's values are true or false.
func (o object) flag() bool {
	switch o {
	case outline, scalable, antialias, color, symbol, variable, decorative, fontHasHint:
		return true
	}
	return false
}

// constants are the numbers that have names, of which no two have the same.
var constants = map[string]int32{
	"thin": 0, "extralight": 40, "ultralight": 40, "demilight": 55, "semilight": 55, "light": 50,
	"book": 75, "regular": 80, "medium": 100, "demibold": 180, "semibold": 180, "bold": 200,
	"extrabold": 205, "ultrabold": 205, "black": 210, "heavy": 210,
	"roman": 0, "italic": 100, "oblique": 110,
	"ultracondensed": 50, "extracondensed": 63, "condensed": 75, "semicondensed": 87,
	"semiexpanded": 113, "expanded": 125, "extraexpanded": 150, "ultraexpanded": 200,
	"proportional": 0, "dual": 90, "mono": 100, "charcell": 110,
}

// readRule reads a rule. What fontconfig would take and this does not is an error.
func readRule(e *element) (r rule, err error) {
	for i := range e.Elements {
		x := &e.Elements[i]
		s := step{edit: x.XMLName.Local == "edit", object: ruleObjects[x.attr("name")]}
		known := []string{"", "eq", "not_eq", "contains", "not_contains"}
		s.how = x.attr("compare")
		if s.edit {
			known = []string{"", "assign", "assign_replace", "prepend", "prepend_first", "append", "append_last", "delete_all"}
			s.how = x.attr("mode")
		}
		s.which, s.blanks = x.attr("qual"), x.attr("ignore-blanks") != "true"
		target := x.attr("target")
		for k := range x.Elements {
			v, err := readValue(&x.Elements[k], s.object)
			if err != nil {
				return nil, err
			}
			s.values = append(s.values, v)
		}
		if s.object == 0 || !slices.Contains(known, s.how) || !s.edit && x.XMLName.Local != "test" ||
			!slices.Contains([]string{"", "scan", "default"}, target) ||
			!slices.Contains([]string{"", "any", "all", "first", "not_first"}, s.which) ||
			!slices.Contains([]string{"", "true", "false"}, x.attr("ignore-blanks")) ||
			!s.edit && len(s.values) != 1 || s.edit && (len(s.values) == 0) != (s.how == "delete_all") ||
			s.edit && s.object == file {
			return nil, fmt.Errorf("a rule for scanned fonts with %s %q", x.XMLName.Local, x.attr("name"))
		}
		r = append(r, s)
	}
	return r, nil
}

// readValue reads a value for a property.
func readValue(e *element, o object) (v value, err error) {
	text := e.Text
	switch kind := e.XMLName.Local; {
	case kind == "string" && o.text():
		return text, nil
	case kind == "int" && !o.text() && !o.flag():
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
		return int32(n), err
	case kind == "double" && !o.text() && !o.flag():
		return strconv.ParseFloat(strings.TrimSpace(text), 64)
	case kind == "bool" && o.flag() && (text == "true" || text == "false"):
		return text == "true", nil
	case kind == "const" && !o.text() && !o.flag():
		if n, ok := constants[text]; ok {
			return n, nil
		}
	}
	return nil, fmt.Errorf("a rule for scanned fonts with %s %q", e.XMLName.Local, text)
}

// matches tells whether a value passes a test.
func (s *step) matches(v value) (bool, error) {
	want := s.values[0]
	var equal, contains bool
	switch v := v.(type) {
	case string:
		x, y := foldBlanks(v), foldBlanks(want.(string))
		contains = strings.Contains(x, y)
		if !s.blanks {
			x, y = fold(x), fold(y)
		}
		equal = x == y
	case bool:
		equal = v == want.(bool)
		contains = equal
	default:
		x, ok := asNumber(v)
		y, _ := asNumber(want)
		if !ok {
			return false, fmt.Errorf("%w: a rule for scanned fonts compares a range", errUnread)
		}
		equal = x == y
		contains = equal
	}
	switch s.how {
	case "not_eq":
		return !equal, nil
	case "contains":
		return contains, nil
	case "not_contains":
		return !contains, nil
	}
	return equal, nil
}

func asNumber(v value) (float64, bool) {
	switch v := v.(type) {
	case int32:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// find gives which of the values passes a test, or -1 for none. ok tells whether the test is
// passed.
func (s *step) find(values []value) (at int, ok bool, err error) {
	if len(values) == 0 {
		return -1, s.which == "all", nil
	}
	at = -1
	for i, v := range values {
		m, err := s.matches(v)
		switch {
		case err != nil:
			return -1, false, err
		case m && at < 0:
			at = i
		case !m && s.which == "all":
			return -1, false, nil
		}
		if m && s.which != "all" {
			break
		}
	}
	return at, at >= 0 && (s.which != "first" || at == 0) && (s.which != "not_first" || at > 0), nil
}

// substitute applies the rules to a pattern. The error wraps errUnread.
func (c *config) substitute(p pattern) error {
rules:
	for _, r := range c.rules {
		places := map[object]int{} // of the values that passed the first test of their property
		for i := range r {
			s := &r[i]
			if s.edit {
				s.apply(p, places)
				continue
			}
			at, ok, err := s.find(p[s.object])
			if err != nil {
				return err
			}
			if !ok {
				continue rules
			}
			if _, seen := places[s.object]; !seen && at >= 0 {
				places[s.object] = at
			}
		}
	}
	return nil
}

// apply makes an edit.
func (s *step) apply(p pattern, places map[object]int) {
	at, there := places[s.object]
	old := p[s.object]
	switch {
	case s.how == "delete_all":
		delete(p, s.object)
		delete(places, s.object)
	case (s.how == "" || s.how == "assign") && there:
		p[s.object] = slices.Concat(old[:at], s.values, old[at+1:])
	case s.how == "" || s.how == "assign" || s.how == "assign_replace":
		p[s.object] = slices.Clone(s.values)
		delete(places, s.object)
	case s.how == "prepend" && there:
		p[s.object] = slices.Insert(slices.Clone(old), at, s.values...)
		places[s.object] += len(s.values)
	case s.how == "append" && there:
		p[s.object] = slices.Insert(slices.Clone(old), at+1, s.values...)
	case s.how == "prepend" || s.how == "prepend_first":
		p[s.object] = slices.Concat(s.values, old)
		if there {
			places[s.object] += len(s.values)
		}
	default: // append, append_last
		p[s.object] = slices.Concat(old, s.values)
	}
}
