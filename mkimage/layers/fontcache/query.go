package fontcache

import (
	"slices"
	"strings"
)

// query makes the pattern of a face, as src/fcfreetype.c's FcFreeTypeQueryFaceInternal does. name
// is the path of its file, id its number there; at is the instance that the pattern is for, and
// whole tells that it is for all that the font's axes span. languages are those of the face, once
// they are found. Errors are errNoPattern, or wrap errUnread.
func (r *release) query(f *face, name string, id int32, at *instance, whole bool, languages *langSet) (pattern, error) {
	p := pattern{}
	p.add(outline, f.outlines)
	p.add(color, f.color)
	p.add(scalable, f.outlines || f.color)
	v := r.variations(p, f, at, whole)
	if whole && !v.any {
		return nil, errNoPattern
	}
	p.add(variable, v.any)
	maker := ""
	if o := f.os2; o != nil && o.version >= 1 && o.vendor[0] != 0 {
		maker, _, _ = strings.Cut(o.vendor, "\x00")
	}
	maker, err := r.addNames(p, f, at, v.any, maker)
	if err != nil {
		return nil, err
	}
	r.addDefaultNames(p, f, name, v.any)
	if !v.any {
		wanted, err := f.postScript(&r.freetype, at)
		if err != nil {
			return nil, err
		}
		p.add(postScriptName, postScript(p, wanted))
	}
	p.add(file, name)
	p.add(index, id)
	p.add(fontVersion, f.revision)
	p.add(order, int32(0))
	if f.os2 != nil {
		v.weight = fromOpenType(float64(f.os2.weight) * v.weightTimes)
		if w := f.os2.width; w >= 1 && int(w) <= len(widths) {
			v.width = widths[w-1]
		}
		v.width *= v.widthTimes
	}
	if f.os2 != nil && f.hasCapability {
		p.add(capability, f.capability)
	}
	p.add(fontHasHint, f.hinted)
	if o := f.os2; o != nil && o.version >= 5 && !v.sized {
		if lower, upper := float64(o.lower)/20, float64(o.upper)/20; lower == upper {
			p.add(size, lower)
		} else {
			p.add(size, sizeRange{lower, upper})
		}
	}
	if v.weight == -1 && f.weight != "" {
		v.weight = isOne(f.weight, weightNames)
	}
	if maker == "" {
		maker = noticeFoundry(f.notice)
	}
	if maker == "" {
		maker, _ = f.properties["FOUNDRY"].(string)
	}
	f.addShape(p, v, maker)
	if _, bdf := f.properties["PIXEL_SIZE"]; bdf && len(f.chars.numbers) == 0 {
		return nil, errNoPattern
	}
	p.add(symbol, f.symbols)
	p.add(charset, f.chars)
	if *languages == nil && !f.symbols {
		if err := f.work(32 * len(f.chars.numbers)); err != nil { // some hundred languages
			return nil, err
		}
		*languages = r.findLanguages(f.chars, f.os2.exclusive())
	}
	if f.symbols {
		p.add(lang, make(langSet, r.langWords))
	} else {
		p.add(lang, *languages)
	}
	if s, err := f.spacing(at); err != nil {
		return nil, err
	} else if s != proportional {
		p.add(spacing, s)
	}
	if !f.outlines {
		for _, s := range f.sizes {
			p.add(pixelSize, s)
		}
		p.add(antialias, false)
	}
	p.add(fontFormat, f.format)
	if r.wrapper {
		p.add(namedInstance, at != nil)
		switch {
		case f.woff:
			p.add(fontWrapper, "WOFF")
		case f.sfnt:
			p.add(fontWrapper, "SFNT")
		}
	}
	return p, nil
}

// exclusive gives the only language with Han's letters that the font is for, or "".
func (o *os2) exclusive() (only string) {
	if o == nil || o.version < 1 {
		return ""
	}
	for _, h := range han {
		if o.codePages>>h.bit&1 == 1 {
			if only != "" {
				return ""
			}
			only = h.lang
		}
	}
	return only
}

// addNames adds what the table of names has, and gives the foundry that it tells when there is
// none. The error wraps errUnread.
func (r *release) addNames(p pattern, f *face, at *instance, varies bool,
	maker string) (string, error) {
	// each is looked at for each platform and number
	if err := f.work(len(f.names) * len(platformOrder) * len(nameOrder) / 8); err != nil {
		return "", err
	}
	for _, platform := range platformOrder {
		for _, id := range nameOrder {
			lookup := id
			if at != nil {
				switch id {
				case nameWWSSubfamily, nameTypographicSubfamily, nameFull:
					continue
				case nameSubfamily:
					lookup = at.name
				}
			}
			for i := range f.names {
				n := &f.names[i]
				if n.platform != platform || n.id != lookup {
					continue
				}
				if err := f.work(32 + len(n.text)); err != nil {
					return "", err
				}
				o, languages := object(0), object(0)
				switch id {
				case nameWWSFamily, nameTypographicFamily, nameFamily:
					o, languages = family, familyLang
				case nameMacFull, nameFull:
					o, languages = fullName, fullNameLang
				case nameWWSSubfamily, nameTypographicSubfamily, nameSubfamily:
					o, languages = style, styleLang
				case nameTrademark, nameManufacturer:
					if maker == "" {
						maker = noticeFoundry(r.decode(n))
					}
					continue
				}
				if varies && o != family {
					continue
				}
				text := r.decode(n)
				if err := f.work(32 * len(p[o])); err != nil {
					return "", err
				}
				if text == "" || slices.ContainsFunc(p[o], func(v value) bool {
					return fold(v.(string)) == fold(text)
				}) {
					continue
				}
				if l := n.languageOf(); l != "" {
					for len(p[languages]) < len(p[o]) {
						p.add(languages, "und")
					}
					p.add(languages, l)
				}
				p.add(o, text)
			}
		}
	}
	return maker, nil
}

// addDefaultNames adds the names that a font must have and has not.
func (r *release) addDefaultNames(p pattern, f *face, name string, varies bool) {
	from := f.family
	if r.longFamilies && f.longFamily != "" {
		from = f.longFamily
	}
	if len(p[family]) == 0 && fold(from) != "" {
		p.add(family, from)
		p.add(familyLang, "en")
	}
	if !varies && len(p[style]) == 0 {
		if fold(f.style) != "" {
			p.add(style, f.style)
		} else {
			p.add(style, "Regular")
		}
		p.add(styleLang, "en")
	}
	if len(p[family]) == 0 {
		base := name[strings.LastIndexByte(name, '/')+1:]
		if i := strings.LastIndexByte(base, '.'); i >= 0 {
			base = base[:i]
		}
		p.add(family, base)
		p.add(familyLang, "en")
	}
	if !varies && len(p[fullName]) == 0 {
		i, j := english(p, family, familyLang), english(p, style, styleLang)
		// fontconfig changes the values themselves
		p[family][i] = strings.TrimRight(p[family][i].(string), blanks)
		s := p[style][j].(string)
		begin := len(s) - len(strings.TrimLeft(s, blanks))
		p[style][j] = s[begin:] + s[len(s)-begin:] // its end stays where it was
		p.add(fullName, p[family][i].(string)+" "+p[style][j].(string))
		p.add(fullNameLang, "en")
	}
}

const blanks = " \t\n\v\f\r"

// english gives which of the values is English, or else the first one.
func english(p pattern, o, languages object) int {
	for i := range p[languages] {
		if l, _ := p.str(languages, i); l == "en" && i < len(p[o]) {
			return i
		}
	}
	return 0
}

// postScript gives a font's PostScript name, or one that is made of its family.
func postScript(p pattern, name string) string {
	if name != "" {
		return name[:min(len(name), 255)]
	}
	name, _ = p.str(family, english(p, family, familyLang))
	b := []byte(name)
	b = b[:min(len(b), 255)]
	for i, c := range b {
		if strings.IndexByte("\x04()/<>[]{}\t\f\r\n ", c) >= 0 {
			b[i] = '-'
		}
	}
	return string(b)
}
