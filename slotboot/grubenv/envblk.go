package grubenv

import (
	"bytes"
	"strings"
)

// LoadEnv reads a file of any size as GRUB's load_env does (grub-core/lib/envblk.c). Of a repeated
// name the last value counts. A line without "=" takes the next line into its name, and what that
// held is lost. A line without an end is dropped. LoadEnv is false for a file that does not begin
// as a block.
func LoadEnv(b []byte) (*Block, bool) {
	if len(b) <= len(signature) || !bytes.HasPrefix(b, []byte(signature)) {
		return nil, false
	}
	block := new(Block)
	for p := len(signature); p < len(b); p = nextLine(b, p) {
		if b[p] == padding {
			continue
		}
		eq := bytes.IndexByte(b[p:], '=')
		if eq < 0 {
			break
		}
		start := p + eq + 1
		end := nextLine(b, start) - 1
		if end >= len(b) {
			break
		}
		block.put(cString(b[p:start-1]), cString(unescape(b[start:end])))
		p = start
	}
	return block, true
}

// pad fills b up to size bytes.
func pad(b []byte, size int) []byte {
	return append(b, bytes.Repeat([]byte{padding}, size-len(b))...)
}

// nextLine is the start of the line after the one that p lies in. A backslash hides a newline
// behind it.
func nextLine(b []byte, p int) int {
	for p < len(b) && b[p] != '\n' {
		if b[p] == '\\' {
			p++
		}
		p++
	}
	return p + 1
}

// escaper hides what ends a value, and itself.
var escaper = strings.NewReplacer(`\`, `\\`, "\n", "\\\n")

// unescape takes the backslash from each pair that one begins.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			i++
		}
		out = append(out, b[i])
	}
	return out
}

// cString ends at the first NUL, as GRUB's strings do.
func cString(b []byte) string {
	name, _, _ := strings.Cut(string(b), "\x00")
	return name
}
