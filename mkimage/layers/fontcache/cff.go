package fontcache

import (
	"encoding/binary"
	"fmt"
)

// cffStrings is how many strings all fonts of PostScript have, which are not in them.
const cffStrings = 391

// cffNotice gives the notice in a table CFF. A font has, one behind the other, its header, names,
// dictionaries and strings.
func cffNotice(b []byte) (string, error) {
	wrong := fmt.Errorf("%w: its notice", errUnread)
	if len(b) < 4 || int(b[2]) > len(b) {
		return "", wrong
	}
	b = b[b[2]:]
	var parts [3][][]byte
	for i := range parts {
		var ok bool
		if parts[i], b, ok = cffIndex(b); !ok {
			return "", wrong
		}
	}
	dictionaries, texts := parts[1], parts[2]
	if len(dictionaries) != 1 {
		return "", wrong
	}
	last := -1
	for d := dictionaries[0]; len(d) > 0; {
		c, size := int(d[0]), 1
		switch {
		case c == 1: // the operator behind the number of the notice
			if last -= cffStrings; last < 0 || last >= len(texts) {
				return "", wrong
			}
			return string(texts[last]), nil
		case c == 12:
			size = 2
		case c == 28 && len(d) > 2:
			last, size = int(int16(binary.BigEndian.Uint16(d[1:]))), 3
		case c == 29 && len(d) > 4:
			last, size = int(int32(binary.BigEndian.Uint32(d[1:]))), 5
		case c == 30: // digits, up to a half byte of ones
			for size < len(d) && d[size]&0xf != 0xf && d[size]>>4 != 0xf {
				size++
			}
			size++
		case c >= 32 && c <= 246:
			last = c - 139
		case c >= 247 && c <= 250 && len(d) > 1:
			last, size = (c-247)<<8+int(d[1])+108, 2
		case c >= 251 && c <= 254:
			last, size = -1, 2
		case c > 21:
			return "", wrong
		}
		if size > len(d) {
			return "", wrong
		}
		d = d[size:]
	}
	return "", nil
}

// cffIndex gives the parts of an index, and what is behind it: the number of parts, the bytes that
// an offset has, offsets from the byte before the first part, the parts.
func cffIndex(b []byte) (parts [][]byte, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	count := int(binary.BigEndian.Uint16(b))
	if count == 0 {
		return nil, b[2:], true
	}
	if len(b) < 3 || b[2] < 1 || b[2] > 4 {
		return nil, nil, false
	}
	width := int(b[2])
	data := 3 + width*(count+1) - 1
	if data >= len(b) {
		return nil, nil, false
	}
	at := 1
	for i := range count + 1 {
		offset := 0
		for _, c := range b[3+width*i : 3+width*(i+1)] {
			offset = offset<<8 | int(c)
		}
		if offset < at || offset > len(b)-data {
			return nil, nil, false
		}
		if i > 0 {
			parts = append(parts, b[data+at:data+offset])
		}
		at = offset
	}
	return parts, b[data+at:], true
}
