package boottest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

// Places on a physical volume, in bytes: the metadata, and the first extent.
const (
	lvmMetadata = 4 << 10
	lvmExtents  = mib
	lvmExtent   = 4 * mib
)

// physicalVolume makes the physical volume of a volume group whose only logical volume has a
// content. LVM's own programs would need root. The format is that of lvm2's
// lib/format_text/layout.h.
func physicalVolume(group, name string, content []byte) []byte {
	count := (len(content) + lvmExtent - 1) / lvmExtent
	b := make([]byte, lvmExtents+count*lvmExtent)
	copy(b[lvmExtents:], content)

	id := func(letter string) string { // of 32 letters
		parts := []int{6, 4, 4, 4, 4, 4, 6}
		var words []string
		for _, n := range parts {
			words = append(words, strings.Repeat(letter, n))
		}
		return strings.Join(words, "-")
	}
	text := fmt.Sprintf(`%s {
id = "%s"
seqno = 1
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = %d
max_lv = 0
max_pv = 0
metadata_copies = 0
physical_volumes {
pv0 {
id = "%s"
device = "/dev/none"
status = ["ALLOCATABLE"]
flags = []
dev_size = %d
pe_start = %d
pe_count = %d
}
}
logical_volumes {
%s {
id = "%s"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {
start_extent = 0
extent_count = %d
type = "striped"
stripe_count = 1
stripes = ["pv0", 0]
}
}
}
}
contents = "Text Format Volume Group"
version = 1
description = ""
creation_host = "boottest"
creation_time = 1
`, group, id("g"), lvmExtent/sector, id("p"), len(b)/sector, lvmExtents/sector, count, name, id("v"), count)
	metadata := append([]byte(text), 0)

	le := binary.LittleEndian
	header := b[lvmMetadata : lvmMetadata+sector]
	copy(header[4:], " LVM2 x[5A%r0N*>")
	le.PutUint32(header[20:], 1) // version
	le.PutUint64(header[24:], lvmMetadata)
	le.PutUint64(header[32:], lvmExtents-lvmMetadata)
	le.PutUint64(header[40:], sector) // where the text is, from here
	le.PutUint64(header[48:], uint64(len(metadata)))
	le.PutUint32(header[56:], lvmSum(metadata))
	copy(b[lvmMetadata+sector:], metadata)
	le.PutUint32(header, lvmSum(header[4:]))

	label := b[sector : 2*sector]
	copy(label, "LABELONE")
	le.PutUint64(label[8:], 1)   // its sector
	le.PutUint32(label[20:], 32) // where the volume's header is, from here
	copy(label[24:], "LVM2 001")
	volume := bytes.NewBuffer(label[32:32])
	volume.WriteString(strings.ReplaceAll(id("p"), "-", ""))
	for _, n := range []uint64{uint64(len(b)), lvmExtents, 0, 0, 0, lvmMetadata, lvmExtents - lvmMetadata, 0, 0} {
		volume.Write(le.AppendUint64(nil, n))
	}
	le.PutUint32(label[16:], lvmSum(label[20:]))
	return b
}

// lvmSum is the CRC-32 that begins with LVM's own number, and is not inverted.
func lvmSum(b []byte) uint32 { return ^crc32.Update(^uint32(0xf597a6cf), crc32.IEEETable, b) }
