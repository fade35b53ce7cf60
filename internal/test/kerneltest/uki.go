package kerneltest

import "encoding/binary"

// Section is a section of a unified kernel image.
type Section struct {
	Name string
	Data []byte
}

// UKI makes a unified kernel image of a stub, which differs with each version, and sections. Bytes
// of a signature are behind them.
func UKI(version byte, sections ...Section) []byte {
	const pe, optional, align = 0x80, 240, 512
	le := binary.LittleEndian
	sections = append([]Section{{".text", make([]byte, 2000)}, {".osrel", []byte("ID=test\n")}},
		sections...)
	for i := range sections[0].Data {
		sections[0].Data[i] = byte(i*i>>3) + version
	}
	b := make([]byte, pe+24+optional+len(sections)*40)
	copy(b, "MZ")
	le.PutUint32(b[0x3c:], pe)
	copy(b[pe:], "PE\x00\x00\x64\x86")
	le.PutUint16(b[pe+6:], uint16(len(sections)))
	le.PutUint16(b[pe+20:], optional)
	for i, s := range sections {
		b = append(b, make([]byte, -len(b)&(align-1))...)
		h := b[pe+24+optional+i*40:]
		copy(h[:8], s.Name)
		le.PutUint32(h[8:], uint32(len(s.Data)))
		le.PutUint32(h[12:], uint32(i+1)<<20)
		le.PutUint32(h[16:], uint32(len(s.Data)+-len(s.Data)&(align-1)))
		le.PutUint32(h[20:], uint32(len(b)))
		b = append(b, s.Data...)
	}
	b = append(b, make([]byte, -len(b)&(align-1))...)
	return append(b, "certificates"...)
}
