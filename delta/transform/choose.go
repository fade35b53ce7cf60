package transform

// For lists the ids of the transforms worth trying on a content, best first; often there are none.
// The content decides; name, which may be a path, is only a hint.
func For(name string, plain []byte) []uint8 {
	if isKernel(plain) {
		return []uint8{idKernel, idProgram}
	}
	if len(plain) > maxContent {
		if len(plain) <= LargeMax && isELF(plain) && le.Uint16(plain[16:]) == elfTypeRel {
			return []uint8{idShifted}
		}
		return nil
	}
	for _, id := range []uint8{idVmlinuz, idVmlinuzXZ, idVmlinuzLZ4, idVmlinuzGzip} {
		if _, _, ok := registry[id].(vmlinuz).find(plain); ok {
			return []uint8{id}
		}
	}
	if _, ok := gzipHeader(plain); ok {
		return []uint8{idGzipAny}
	}
	if isXZ(plain) {
		return forXZ(plain)
	}
	if isELF(plain) {
		if le.Uint16(plain[16:]) == elfTypeRel {
			return []uint8{idModule}
		}
		return []uint8{idProgram}
	}
	return nil
}

func isELF(b []byte) bool { return len(b) >= elfHeaderSize && string(b[:4]) == "\x7fELF" }

// isKernel tells whether b is a program with the sections of a kernel.
func isKernel(b []byte) bool {
	if !isELF(b) || len(b) > LargeMax || le.Uint16(b[16:]) != elfTypeExec {
		return false
	}
	f, ok := parseELF(b)
	return ok && f.section(".orc_unwind_ip") != nil && f.section("__ex_table") != nil
}

// MayBeLarge tells by its first bytes whether a content of so many bytes may be above 16 MiB once
// it is rewritten.
func MayBeLarge(begin []byte, size int64) bool {
	if size <= maxContent {
		_, _, ok := payload(begin)
		return ok
	}
	if !isELF(begin) {
		return false
	}
	kind := le.Uint16(begin[16:])
	return kind == elfTypeExec || kind == elfTypeRel
}

// BeginMax is how many first bytes MayBeLarge wants.
const BeginMax = headMax
