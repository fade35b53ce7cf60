package boottest

import "encoding/binary"

// Ports of QEMU devices that the stub writes to.
const (
	portConsole = 0xe9
	portExit    = 0xf4
)

// stubStatus is QEMU's exit status after the stub: twice the byte that the stub writes to portExit,
// plus one.
const stubStatus = '\n'<<1 | 1

// stubKernel is a kernel for GRUB's linux command on a BIOS (Documentation/x86/boot.rst, version
// 2.03): it prints its command line and its initrd to portConsole, a line each, and ends QEMU.
func stubKernel() []byte {
	b := make([]byte, 2*sector)
	b[0x1f1] = 1                                        // sectors of setup code behind the first
	copy(b[0x1fe:], "\x55\xaa\xeb\x3eHdrS")             // signature, a jump, magic
	binary.LittleEndian.PutUint16(b[0x206:], 0x0203)    // version
	b[0x211] = 1                                        // loaded high
	binary.LittleEndian.PutUint32(b[0x214:], 0x100000)  // where the code below is started
	binary.LittleEndian.PutUint32(b[0x22c:], 0x7ffffff) // highest address of an initrd
	b = append(b,
		0x66, 0xba, portConsole, 0, // mov dx, portConsole
		0x8b, 0x9e, 0x28, 2, 0, 0, // mov ebx, [esi+0x228]: the command line
		0x8a, 0x03, // 1: mov al, [ebx]
		0x84, 0xc0, // test al, al
		0x74, 0x04, // jz 2
		0xee,       // out dx, al
		0x43,       // inc ebx
		0xeb, 0xf6, // jmp 1
		0xb0, '\n', 0xee, // 2: mov al, '\n'; out dx, al
		0x8b, 0x9e, 0x18, 2, 0, 0, // mov ebx, [esi+0x218]: the initrd
		0x8b, 0x8e, 0x1c, 2, 0, 0, // mov ecx, [esi+0x21c]: its size
		0xe3, 0x06, // jecxz 4
		0x8a, 0x03, // 3: mov al, [ebx]
		0xee,       // out dx, al
		0x43,       // inc ebx
		0xe2, 0xfa, // loop 3
		0xb0, '\n', 0xee, // 4: mov al, '\n'; out dx, al
		0x66, 0xba, portExit, 0, // mov dx, portExit
		0xee,             // out dx, al
		0xf4, 0xeb, 0xfd, // hlt, for ever
	)
	return append(b, make([]byte, 4*sector-len(b))...)
}
