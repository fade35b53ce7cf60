package layers

import "slices"

// plainName tells whether a name can stand in a lock.
func plainName(s string) bool {
	return word(s, "-._")
}

// userName tells whether a name can be that of a user or group.
func userName(s string) bool { return word(s, "-_") && s[0] != '-' && len(s) <= 32 }

// word tells whether s has letters, digits and others alone.
func word(s, others string) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case slices.Contains([]rune(others), r):
		default:
			return false
		}
	}
	return s != ""
}
