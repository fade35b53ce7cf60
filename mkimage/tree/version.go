package tree

import "regexp"

// version is a number, or several with what stands between the numbers of a version.
var version = regexp.MustCompile(`[0-9]+([.:_+~-]*[0-9]+)*`)

// Unversioned gives a name or path with "#" in place of each version number:
// libfoo.so.3.0.2 and libfoo.so.3.0.4 become the same.
func Unversioned(name string) string { return version.ReplaceAllString(name, "#") }
