package grubtest

import (
	"bytes"
	"strings"

	"deltaup/slotboot/grubenv"
)

const (
	signature = "# GRUB Environment Block\n"
	padding   = "#"
)

// SaveEnv is what GRUB's save_env makes of the file b for one variable. It is false
// when GRUB refuses: no block, no padding that ends in a newline, no room. The first
// occurrence of a name is the one that changes.
func SaveEnv(b []byte, name, value string) ([]byte, bool) {
	if _, ok := grubenv.LoadEnv(b); !ok {
		return nil, false
	}
	text := bytes.TrimRight(b, padding)
	if len(text) == 0 || text[len(text)-1] != '\n' {
		return nil, false
	}
	padded := len(b) - len(text)
	line := name + "=" + escaper.Replace(value)
	for p := len(signature); p+len(name)+1 < len(text); p = nextLine(b, p) {
		if !bytes.HasPrefix(b[p:], []byte(name+"=")) {
			continue
		}
		end := nextLine(b, p+len(name)+1) - 1
		grows := len(line) - (end - p)
		if end >= len(b) || grows > padded {
			return nil, false
		}
		return pad(join(b[:p], line, text[min(end, len(text)):]), len(b)), true
	}
	if len(line)+1 > padded {
		return nil, false
	}
	return pad(join(text, line, []byte("\n")), len(b)), true
}

func join(before []byte, line string, after []byte) []byte {
	return append(append(bytes.Clone(before), line...), after...)
}

// pad fills b up to size bytes.
func pad(b []byte, size int) []byte {
	return append(b, strings.Repeat(padding, size-len(b))...)
}

// nextLine is the start of the line after the one that p lies in; a backslash hides the newline
// after it.
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
