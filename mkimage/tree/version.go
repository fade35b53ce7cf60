package tree

import "regexp"

// version matches a number, or several numbers with separators of versions between them.
var version = regexp.MustCompile(`[0-9]+([.:_+~-]*[0-9]+)*`)

// Unversioned replaces each version number in a name or path by "#", so that libfoo.so.3.0.2 and
// libfoo.so.3.0.4 become the same.
func Unversioned(name string) string { return version.ReplaceAllString(name, "#") }
