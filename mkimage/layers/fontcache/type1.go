package fontcache

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Keys of the cipher that Type 1 fonts are in.
const (
	eexecKey      = 55665
	charstringKey = 4330
)

const glyphsMax = 1<<16 - 1 // of a font

// type1 is what a PostScript font tells of itself.
type type1 struct {
	name, family, full, weight, notice string
	italic                             bool

	skipped int      // bytes in front of each charstring
	names   []string // of glyphs
	widths  []int
}

// readType1 reads a font of PostScript. The libraries that do so take memory and time without bound
// where a font is a hostile one, and not much of a font is needed here.
func readType1(content []byte) (*face, error) {
	text, secret, err := type1Parts(content)
	if err != nil {
		return nil, err
	}
	t := &type1{skipped: 4}
	if err := t.readText(text); err != nil {
		return nil, err
	}
	if err := t.readPrivate(secret); err != nil {
		return nil, err
	}
	if t.name == "" || t.family == "" || len(t.names) == 0 {
		return nil, fmt.Errorf("%w: it lacks names", errUnread)
	}
	f := &face{
		format: "Type 1", outlines: true, family: t.family, style: t.style(), italic: t.italic,
		bold: t.weight == "Bold" || t.weight == "Black", notice: t.notice, weight: t.weight,
		postScript: func(*freetype, *instance) (string, error) { return t.name, nil },
		chars:      &charSet{},
		advance: func(*instance) (func(uint32) (int, error), error) {
			return func(glyph uint32) (int, error) { return t.widths[glyph], nil }, nil
		},
	}
	list := namedChars(t.names)
	for _, m := range list {
		if m.char < 0x20 || m.char >= charsMax {
			return nil, fmt.Errorf("%w: a control character", errUnread)
		}
		f.chars.add(m.char)
	}
	f.glyphs = func(yield func(uint32) bool) {
		for _, m := range list {
			if !yield(m.glyph) {
				return
			}
		}
	}
	return f, nil
}

// type1Parts gives the plain part of a font, and the one in a cipher, deciphered. A font is plain
// but for that, or in segments: 0x80, their kind, their size.
func type1Parts(content []byte) (text, secret []byte, err error) {
	wrong := fmt.Errorf("%w: its segments", errUnread)
	if content[0] != 0x80 {
		begin := bytes.Index(content, []byte("eexec"))
		if begin < 0 {
			return nil, nil, wrong
		}
		text, content = content[:begin], content[begin+len("eexec"):]
		secret = bytes.TrimLeft(content, " \t\r\n")
		if len(secret) >= 4 && isHex(secret[:4]) {
			digits := bytes.Map(func(c rune) rune {
				if strings.ContainsRune(blanks, c) {
					return -1
				}
				return c
			}, secret)
			n := 0
			for n < len(digits) && isHex(digits[n:n+1]) {
				n++
			}
			secret = make([]byte, n/2)
			if _, err := hex.Decode(secret, digits[:n&^1]); err != nil {
				return nil, nil, wrong
			}
		}
	} else {
		for len(content) >= 6 && content[0] == 0x80 && (content[1] == 1 || content[1] == 2) {
			size := binary.LittleEndian.Uint32(content[2:])
			if int64(size) > int64(len(content)-6) {
				return nil, nil, wrong
			}
			segment := content[6 : 6+size]
			switch {
			case content[1] == 2:
				secret = append(secret, segment...)
			case len(secret) == 0:
				text = append(text, segment...)
			}
			content = content[6+size:]
		}
		if !bytes.Contains(text, []byte("eexec")) || len(secret) >= 4 && isHex(secret[:4]) {
			return nil, nil, wrong
		}
	}
	if len(secret) < 4 {
		return nil, nil, wrong
	}
	return text, decipher(secret, eexecKey)[4:], nil
}

func isHex(b []byte) bool { return len(bytes.Trim(b, "0123456789abcdefABCDEF")) == 0 }

// decipher gives what is in the cipher.
func decipher(b []byte, key uint16) []byte {
	plain := make([]byte, len(b))
	for i, c := range b {
		plain[i] = c ^ byte(key>>8)
		key = (uint16(c)+key)*52845 + 22719
	}
	return plain
}

// readText reads the plain part. What several have, the last one says.
func (t *type1) readText(text []byte) error {
	p := &postScriptText{b: text}
	open := 0
	for token := p.next(); token != ""; token = p.next() {
		texts := map[string]*string{
			"/FamilyName": &t.family, "/FullName": &t.full, "/Weight": &t.weight, "/Notice": &t.notice,
		}
		switch {
		case token == "[" || token == "{":
			open++
		case token == "]" || token == "}":
			open--
		case token == "/FontMatrix":
			if !p.matrix() {
				return fmt.Errorf("%w: its matrix", errUnread)
			}
		case token == "/FontName":
			name, ok := strings.CutPrefix(p.next(), "/")
			if !ok {
				return fmt.Errorf("%w: its name", errUnread)
			}
			t.name = name
		case token == "/ItalicAngle":
			angle, err := strconv.ParseFloat(p.next(), 64)
			if err != nil {
				return fmt.Errorf("%w: its angle", errUnread)
			}
			t.italic = angle != 0
		case token == "/WeightVector", token == "/BlendDesignPositions", token == "FontDirectory":
			return fmt.Errorf("%w: %s", errUnread, token)
		case texts[token] != nil:
			value := p.next()
			if len(value) < 2 || value[0] != '(' {
				return fmt.Errorf("%w: %s", errUnread, token)
			}
			*texts[token], _, _ = strings.Cut(value[1:len(value)-1], "\x00")
		}
		if open < 0 {
			break
		}
	}
	if open != 0 {
		return fmt.Errorf("%w: its brackets", errUnread)
	}
	return nil
}

// readPrivate reads the glyphs.
func (t *type1) readPrivate(secret []byte) error {
	wrong := fmt.Errorf("%w: its glyphs", errUnread)
	p := &postScriptText{b: secret}
	for token := p.next(); token != "/CharStrings"; token = p.next() {
		switch token {
		case "":
			return wrong
		case "/lenIV":
			n, err := strconv.Atoi(p.next())
			if err != nil || n < 0 || n > 64 {
				return wrong
			}
			t.skipped = n
		}
	}
	count, err := strconv.Atoi(p.next())
	if err != nil || count < 1 || count > glyphsMax {
		return wrong
	}
	for token := p.next(); token != "end"; token = p.next() {
		if token == "" {
			return wrong
		}
		name, ok := strings.CutPrefix(token, "/")
		if !ok {
			continue
		}
		p.next() // how many bytes
		p.next() // the word that begins them
		if p.binary == nil || len(t.names) == count || name == "" {
			return wrong
		}
		width, err := t.width(p.binary)
		if err != nil {
			return err
		}
		t.names, t.widths = append(t.names, name), append(t.widths, width)
	}
	for token := p.next(); token != ""; token = p.next() {
		if token == "/CharStrings" {
			return wrong // a font in a font
		}
	}
	return nil
}

// width gives a glyph's width, which its charstring begins with.
func (t *type1) width(charstring []byte) (int, error) {
	wrong := fmt.Errorf("%w: a glyph's width", errUnread)
	b := decipher(charstring, charstringKey)
	b = b[min(t.skipped, len(b)):]
	var stack []int
	for len(b) > 0 {
		c := int(b[0])
		size := 1
		switch {
		case c >= 32 && c <= 246:
			stack = append(stack, c-139)
		case c >= 247 && c <= 254 && len(b) > 1:
			size = 2
			if c <= 250 {
				stack = append(stack, (c-247)<<8+int(b[1])+108)
			} else {
				stack = append(stack, -(c-251)<<8-int(b[1])-108)
			}
		case c == 255 && len(b) > 4:
			size = 5
			stack = append(stack, int(int32(binary.BigEndian.Uint32(b[1:]))))
		case c == 13 && len(stack) == 2: // hsbw
			return stack[1], nil
		case c == 12 && len(b) > 1 && b[1] == 7 && len(stack) == 4: // sbw
			return stack[2], nil
		case c == 12 && len(b) > 1 && b[1] == 12 && len(stack) >= 2 && stack[len(stack)-1] != 0: // div
			size = 2
			n := len(stack) - 2
			if stack[n]%stack[n+1] != 0 {
				return 0, wrong
			}
			stack = append(stack[:n], stack[n]/stack[n+1])
		default:
			return 0, wrong
		}
		if b = b[size:]; len(stack) > 8 {
			return 0, wrong
		}
	}
	return 0, wrong
}

// style gives the style that FreeType finds: what the full name has behind the family's.
func (t *type1) style() string {
	full, family := t.full, t.family
	for full != "" {
		switch {
		case family != "" && full[0] == family[0]:
			full, family = full[1:], family[1:]
		case full[0] == ' ' || full[0] == '-':
			full = full[1:]
		case family != "" && (family[0] == ' ' || family[0] == '-'):
			family = family[1:]
		case family == "":
			return full
		case t.weight != "":
			return t.weight
		default:
			return "Regular"
		}
	}
	if t.full == "" && t.weight != "" {
		return t.weight
	}
	return "Regular"
}
