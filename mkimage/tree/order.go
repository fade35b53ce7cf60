package tree

import "cmp"

// Compare compares two paths by path order, the order of a tree's entries: depth first, names by
// their bytes, a folder before its content, so "a" < "a/b" < "a-b". The result is like that of
// strings.Compare.
func Compare[A, B string | []byte](a A, b B) int {
	n := min(len(a), len(b))
	for i := 0; i < n; i++ {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		// The name that ends here is the shorter one.
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
