package gschemas

import (
	"math"
	"strconv"
	"strings"
)

func (l *loader) startSchema(id string, has map[string]*string) error {
	s := &schema{domain: l.domain}
	if _, ok := l.schemas.Get(id); ok || id == "" {
		return l.wrong("the id " + id)
	}
	if d := has["gettext-domain"]; d != nil {
		s.domain = d
	}
	if of := has["list-of"]; of != nil {
		if other, ok := l.schemas.Get(*of); !ok || other.path != "" {
			return l.wrong("list-of " + *of)
		}
		s.listOf = *of
	}
	if extends := has["extends"]; extends != nil {
		other, ok := l.schemas.Get(*extends)
		if !ok || other.path != "" || s.listOf != "" && other.listOf != s.listOf {
			return l.wrong("extends " + *extends)
		}
		s.extends, s.parent, s.listOf = other, *extends, other.listOf
	}
	if p := has["path"]; p != nil {
		if s.path = *p; !strings.HasPrefix(*p, "/") || !strings.HasSuffix(*p, "/") ||
			s.listOf != "" && !strings.HasSuffix(*p, ":/") {
			return l.wrong("the path " + *p)
		}
	}
	l.schema = s
	l.schemas.Set(id, s)
	return nil
}

func (l *loader) startKey(name string, has map[string]*string) error {
	if _, ok := l.schema.keys.Get(name); ok || !isName(name) || l.schema.listOf != "" {
		return l.wrong("the name " + name)
	}
	for s := l.schema.extends; s != nil; s = s.extends {
		if k, ok := s.keys.Get(name); ok && !k.override {
			return l.wrong("another schema has " + name)
		}
	}
	k := &key{}
	n := 0
	for attribute, kind := range map[string]string{"enum": "s", "flags": "as"} {
		if id := has[attribute]; id != nil {
			all := l.enums[attribute+" "+*id]
			if all == nil {
				return l.wrong("it is not defined yet: " + *id)
			}
			k.kind, k.names = kind, all.clone()
			n++
		}
	}
	if kind := has["type"]; kind != nil {
		if !isType(*kind) {
			return l.wrong("the type " + *kind)
		}
		k.kind = *kind
		n++
	}
	if n != 1 {
		return l.wrong("want just one of type, enum and flags")
	}
	l.key = k
	l.schema.keys.Set(name, k)
	return nil
}

func (l *loader) startOverride(name string, has map[string]*string) error {
	if _, ok := l.schema.keys.Get(name); ok {
		return l.wrong(name + " is there twice")
	}
	for s := l.schema.extends; s != nil; s = s.extends {
		if k, ok := s.keys.Get(name); ok && k.child == "" {
			l.key = &key{kind: k.kind, names: k.names, low: k.low, high: k.high, override: true}
			l.schema.keys.Set(name, l.key)
			return l.startDefault(has)
		}
	}
	return l.wrong("no schema has " + name)
}

func (l *loader) startDefault(has map[string]*string) error {
	if l.key.standard.kind != "" {
		return l.wrong("it is there twice")
	}
	l10n, context := has["l10n"], has["context"]
	switch {
	case l10n == nil && context != nil, l10n != nil && l.schema.domain == nil:
		return l.wrong("it cannot be translated")
	case l10n != nil && (*l10n == "messages" || *l10n == "time"):
		l.key.localized, l.key.context = (*l10n)[0], context
	case l10n != nil:
		return l.wrong("l10n " + *l10n)
	}
	l.text = &strings.Builder{}
	return nil
}

// ends are the least and the greatest value of each type.
var ends = map[string][2]string{
	"y": {"0", "255"}, "n": {"-32768", "32767"}, "q": {"0", "65535"},
	"i": {"-2147483648", "2147483647"}, "u": {"0", "4294967295"},
	"x": {"-9223372036854775808", "9223372036854775807"}, "t": {"0", "18446744073709551615"},
	"d": {"-inf", "inf"},
}

func (l *loader) limits(has map[string]*string) error {
	both, ok := ends[l.key.kind]
	if !ok || l.key.low != nil {
		return l.wrong("the key's type")
	}
	for i, name := range []string{"min", "max"} {
		if has[name] != nil {
			both[i] = *has[name]
		}
	}
	low, err := parseValue(l.key.kind, both[0])
	if err != nil {
		return err
	}
	high, err := parseValue(l.key.kind, both[1])
	if err != nil {
		return err
	}
	if compare(low, high) > 0 {
		return l.wrong("the least is larger than the greatest")
	}
	l.key.low, l.key.high = &low, &high
	return nil
}

// enumValue adds a name to an enumeration, or to flags.
func (l *loader) enumValue(nick, text string) error {
	n, err := strconv.ParseInt(text, 0, 64)
	least, most := int64(math.MinInt32), int64(math.MaxInt32)
	flags := l.names.kind == 'f'
	if flags {
		least, most = 0, math.MaxUint32
	}
	if err != nil || len(nick) < 2 || n < least || n > most || strings.ContainsAny(text, "_oO") ||
		l.names.numbers[uint32(n)] {
		return l.wrong("the value " + nick)
	}
	if flags && n == 0 {
		return nil
	}
	if flags && n&(n-1) != 0 {
		return l.wrong("a flag of many bits")
	}
	l.names.numbers[uint32(n)] = true
	return l.names.add(nick, uint32(n), 0xff)
}
