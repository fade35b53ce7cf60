// Package kerneltest makes small kernels that package kernel takes apart.
package kerneltest

import (
	"bytes"
	"encoding/binary"

	"deltaup/delta/transform/lz4hc"
)

// BzImage makes an x86 kernel whose payload is lz4 -9 of plain. What unpacks it is a little
// different with each version.
func BzImage(version byte, plain []byte) []byte {
	var stream bytes.Buffer
	z, err := lz4hc.NewWriter(&stream, 9)
	if err != nil {
		panic(err) // there is that level
	}
	z.Write(plain) // in memory
	z.Close()
	return Packed(version, stream.Bytes(), len(plain))
}

// Packed is BzImage for a payload of size bytes that is compressed already.
func Packed(version byte, stream []byte, size int) []byte {
	const sectors, offset = 3, 700
	b := make([]byte, (1+sectors)*512+offset)
	copy(b, "MZ")
	b[0x1f1] = sectors
	copy(b[0x1fe:], "\x55\xaa\xeb\x6aHdrS\x0f\x02")
	for i := 0x260; i < len(b); i++ {
		b[i] = byte(i * i >> 3)
	}
	b[0x300] = version
	payload := binary.LittleEndian.AppendUint32(bytes.Clone(stream), uint32(size))
	binary.LittleEndian.PutUint32(b[0x248:], offset)
	binary.LittleEndian.PutUint32(b[0x24c:], uint32(len(payload)))
	return append(append(b, payload...), "relocations and a sum"...)
}
