package tree

import (
	"strings"

	"deltaup/internal/chars"
)

// separators may be between the numbers of a version.
const separators = ".:_+~-"

// Unversioned replaces each version number in a name or path by "#", so that libfoo.so.3.0.2 and
// libfoo.so.3.0.4 become the same. A version is a number, or several with separators between them.
func Unversioned(name string) string {
	var b strings.Builder
	for {
		i := strings.IndexAny(name, chars.Digits)
		if i < 0 {
			b.WriteString(name)
			return b.String()
		}
		version, _ := chars.Cut(name[i:], chars.Digits+separators)
		version = strings.TrimRight(version, separators)
		b.WriteString(name[:i])
		b.WriteByte('#')
		name = name[i+len(version):]
	}
}
