package transform

// For lists the transforms worth trying for a content, best first; often none.
// The name may be a path; it is only a hint, and the content decides.
func For(name string, plain []byte) []uint8 {
	if len(plain) > MaxContent {
		return nil
	}
	if _, ok := gzipHeader(plain); ok {
		return []uint8{idGzip}
	}
	if len(plain) >= elfHeaderSize && string(plain[:4]) == "\x7fELF" {
		if le.Uint16(plain[16:]) == elfTypeRel {
			return []uint8{idModule}
		}
		return []uint8{idProgram}
	}
	return nil
}
