package fontcache

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// faces gives how many fonts a file has, and what reads one of them. Errors wrap errNoFont, where
// FreeType takes the file for none, or errUnread, or are those of the file.
func (s *source) faces() (count int, read func(i int) (*face, error), err error) {
	head, err := s.head()
	if err != nil {
		return 0, nil, err
	}
	parse := map[string]func([]byte) (*face, error){
		"Type 1": readType1, "PCF": readPCF, "gzip": readGzip,
	}
	switch kind := sniff(head, s.size); {
	case kind == "sfnt":
		return s.readSFNT(head)
	case kind == "":
		return 0, nil, errNoFont
	case parse[kind] == nil:
		return 0, nil, fmt.Errorf("%w: %s", errUnread, kind)
	default:
		return 1, func(int) (*face, error) {
			content, err := s.all()
			if err != nil {
				return nil, err
			}
			return parse[kind](content)
		}, nil
	}
}

// beginnings are those of the files that FreeType reads.
var beginnings = []struct{ bytes, kind string }{
	{"\x00\x01\x00\x00", "sfnt"}, {"OTTO", "sfnt"}, {"true", "sfnt"}, {"ttcf", "sfnt"},
	{"typ1", "typ1"}, {"\xa5kbd", "dfont"}, {"\xa5lst", "dfont"}, {"\x00\x02\x00\x00", "Arphic"},
	{"wOFF", "sfnt"}, {"wOF2", "WOFF2"},
	{"%!PS-AdobeFont", "Type 1"}, {"%!FontType", "Type 1"}, {"\x80\x01", "Type 1"},
	{"%!PS-Adobe-3.0 Resource-CIDFont", "CID"}, {"%!PS-TrueTypeFont", "Type 42"},
	{"PFR0", "PFR"}, {"MZ", "FNT"}, {"\x00\x02", "FNT"}, {"\x00\x03", "FNT"},
	{"\x01fcp", "PCF"}, {"\x1f\x8b", "gzip"}, {"\x1f\x9d", "compress"}, {"BZh", "bzip2"},
	{"STARTFONT", "BDF"},
	{"\x00\x05\x16\x00", "AppleSingle"}, {"\x00\x05\x16\x07", "AppleDouble"},
}

// sniff tells what a file of so many bytes that begins with b is; "": FreeType takes it for no
// font.
func sniff(b []byte, size int64) string {
	for _, s := range beginnings {
		if bytes.HasPrefix(b, []byte(s.bytes)) {
			return s.kind
		}
	}
	switch {
	case len(b) >= 4 && b[0] == 1 && b[2] >= 4 && b[3] >= 1 && b[3] <= 4:
		return "CFF"
	case len(b) >= 16 && b[0] < 0x80 && resourceFork(b, size):
		return "resource fork"
	case len(b) >= 128 && b[0] == 0 && b[74] == 0 && b[82] == 0 && b[1] > 0 && b[1] <= 33:
		return "MacBinary"
	}
	return ""
}

// resourceFork tells whether a file may be a resource fork of a Macintosh: its data comes before
// its map.
func resourceFork(b []byte, size int64) bool {
	data, index := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	bytes := binary.BigEndian.Uint32(b[8:])
	return index != 0 && data+bytes == index && int64(index) < size
}
