package tree

import "cmp"

// Compare orders paths as a tree's entries are ordered: depth first, names by their bytes, a folder
// before what is in it, so "a" < "a/b" < "a-b". The result is as of strings.Compare.
func Compare(a, b string) int {
	n := min(len(a), len(b))
	for i := 0; i < n; i++ {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		// The path whose name ends here is, or lies below, the shorter name.
		if x == '/' {
			return -1
		}
		if y == '/' {
			return 1
		}
		if x < y {
			return -1
		}
		return 1
	}
	return cmp.Compare(len(a), len(b))
}
