package fontcache

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// readFile reads all fonts of a file. Errors wrap errNoFont, where FreeType takes the file for
// none, or errUnread.
func readFile(content []byte) ([]*face, error) {
	kind := sniff(content)
	switch kind {
	case "sfnt":
		return readSFNT(content)
	case "Type 1":
		return readType1(content)
	case "PCF":
		return readPCF(content)
	case "gzip":
		return readGzip(content)
	case "":
		return nil, errNoFont
	}
	return nil, fmt.Errorf("%w: %s", errUnread, kind)
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

// sniff tells what a file is; "": FreeType takes it for no font.
func sniff(b []byte) string {
	for _, s := range beginnings {
		if bytes.HasPrefix(b, []byte(s.bytes)) {
			return s.kind
		}
	}
	switch {
	case len(b) >= 4 && b[0] == 1 && b[2] >= 4 && b[3] >= 1 && b[3] <= 4:
		return "CFF"
	case len(b) >= 16 && b[0] < 0x80 && resourceFork(b):
		return "resource fork"
	case len(b) >= 128 && b[0] == 0 && b[74] == 0 && b[82] == 0 && b[1] > 0 && b[1] <= 33:
		return "MacBinary"
	}
	return ""
}

// resourceFork tells whether a file may be a resource fork of a Macintosh: its data comes before
// its map.
func resourceFork(b []byte) bool {
	data, index := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	size := binary.BigEndian.Uint32(b[8:])
	return index != 0 && data+size == index && int64(index) < int64(len(b))
}
