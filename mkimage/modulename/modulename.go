// Package modulename knows the names of kernel modules' files.
package modulename

import "strings"

// suffixes are those of compressed modules, behind ".ko".
var suffixes = []string{".xz", ".zst", ".gz"}

// Plain gives the path that a compressed module has when it is plain. ok is false for all other
// paths. Modules are in lib/modules/VERSION or usr/lib/modules/VERSION of a tree.
func Plain(name string) (plain string, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(name, "usr/"), "lib/modules/")
	if !ok || strings.Count(rest, "/") == 0 {
		return "", false
	}
	return Target(name)
}

// Target is Plain for what a symbolic link to a module leads to, wherever that is.
func Target(target string) (plain string, ok bool) {
	for _, suffix := range suffixes {
		if plain, ok := strings.CutSuffix(target, suffix); ok && strings.HasSuffix(plain, ".ko") {
			return plain, true
		}
	}
	return "", false
}
