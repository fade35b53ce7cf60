package fontcache

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// coordinatesMax is how many numbers the places of all instances may have.
const coordinatesMax = 1 << 20

// readAxes reads along what a font varies, and its named instances.
func (s *sfnt) readAxes() error {
	be := binary.BigEndian
	b, err := s.table("fvar")
	if b == nil || err != nil {
		return err
	}
	wrong := fmt.Errorf("%w: table fvar", errUnread)
	if len(b) < 20 || be.Uint32(b) != 0x10000 || !s.has("CFF2") && !(s.has("glyf") && s.has("gvar")) {
		return wrong
	}
	at, axes, each := int(be.Uint16(b[4:])), int(be.Uint16(b[8:])), int(be.Uint16(b[10:]))
	instances, size := int(be.Uint16(b[12:])), int(be.Uint16(b[14:]))
	if each != 20 || axes == 0 || axes > 0x3ffe || size != 4+4*axes && size != 6+4*axes ||
		instances > 0x7eff || axes*instances > coordinatesMax || at+each*axes+size*instances > len(b) {
		return wrong
	}
	for i := range axes {
		r := b[at+each*i:]
		a := axis{string(r[:4]), int32(be.Uint32(r[4:])), int32(be.Uint32(r[8:])), int32(be.Uint32(r[12:]))}
		if a.least > a.usual || a.usual > a.top {
			a.least, a.top = a.usual, a.usual
		}
		s.face.axes = append(s.face.axes, a)
	}
	for i := range instances {
		r := b[at+each*axes+size*i:]
		n := instance{name: be.Uint16(r)}
		for k := range axes {
			n.coords = append(n.coords, int32(be.Uint32(r[4+4*k:])))
		}
		s.face.instances = append(s.face.instances, n)
	}
	for tag, count := range map[string]int{"gvar": 4, "avar": 6, "HVAR": -1} { // where they have the number of axes
		if !s.has(tag) {
			continue
		}
		t, err := s.part(tag, 0, 8)
		if err != nil {
			return err
		}
		if be.Uint32(t) != 0x10000 || count > 0 && int(be.Uint16(t[count:])) != axes {
			return fmt.Errorf("%w: table %s", errUnread, tag)
		}
	}
	return nil
}

// longestName is how many bytes a name that is made for an instance may have.
const longestName = 126

// postScript gives the PostScript name, as FreeType's sfnt_get_ps_name and sfnt_get_var_ps_name do.
func (s *sfnt) postScript(by *freetype, at *instance) (string, error) {
	if at == nil {
		name, _ := s.ascii(by, postScriptLetter, namePostScript)
		return name, nil
	}
	name, whole := s.ascii(by, alphanumeric, nameVariationsPrefix, nameTypographicFamily, nameFamily)
	if !whole {
		return "", fmt.Errorf("%w: FreeType loses its family", errUnread)
	}
	if name == "" {
		return "", nil
	}
	name = name[:min(len(name), 127-36)]
	for i, a := range s.face.axes {
		if at.coords[i] == a.usual {
			continue
		}
		name += "_" + decimal(at.coords[i])
		for _, c := range []byte(a.tag) {
			if alphanumeric(c) {
				name += string(c)
			}
		}
	}
	if len(name) > longestName {
		return "", fmt.Errorf("%w: FreeType makes a hash of its name", errUnread)
	}
	return name, nil
}

// ascii gives the first of some names that there is, without the letters that are not wanted, or
// none where FreeType gives the record up for them. whole tells whether it gives up none.
func (s *sfnt) ascii(by *freetype, wanted func(byte) bool, ids ...uint16) (name string, whole bool) {
	for _, id := range ids {
		windows, apple := (*sfntName)(nil), (*sfntName)(nil)
		for i := range s.names {
			n := &s.names[i]
			if n.id != id {
				continue
			}
			if n.platform == microsoftPlatform && n.encoding <= 1 && (n.language == 0x409 || windows == nil) {
				windows = n
			}
			if n.platform == macintoshPlatform && n.encoding == 0 && (n.language == 0 || apple == nil) {
				apple = n
			}
		}
		if windows == nil && apple == nil {
			continue
		}
		whole = true
		take := func(text []byte, width int) {
			b := make([]byte, 0, len(text))
			for i := 0; i+width <= len(text); i += width {
				if c := text[i+width-1]; (width == 1 || text[i] == 0) && wanted(c) {
					b = append(b, c)
				}
			}
			if name = string(b); name == "" || !by.lenient && len(b) < len(text)/width {
				name, whole = "", false
			}
		}
		if windows != nil {
			take(windows.text, 2)
		}
		if name == "" && apple != nil {
			take(apple.text, 1)
		}
		return name, whole
	}
	return "", true
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

func postScriptLetter(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte("%()/<>[]{}", c) < 0
}

// decimal writes a number that has 16 bits behind the point with as few digits as FreeType's
// fixed2float does.
func decimal(n int32) string {
	if n == 0 {
		return "0"
	}
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	text := ""
	if n>>16 != 0 {
		text = strconv.Itoa(int(n >> 16))
	}
	part := n & 0xffff
	if part == 0 {
		return sign + text
	}
	var digits []byte
	part = part*10 + 5
	for range 5 {
		digits = append(digits, byte('0'+part>>16))
		if part &= 0xffff; part == 0 {
			break
		}
		part *= 10
	}
	if last := len(digits) - 1; last == 4 {
		switch {
		case part < 34480*10 && digits[last] == '1':
			digits[last] = '0'
		case part == 17232*10 && digits[last]&1 == 1, part < 17232*10 && digits[last] != '0':
			digits[last]--
		}
	}
	return sign + text + "." + strings.TrimRight(string(digits), "0")
}
