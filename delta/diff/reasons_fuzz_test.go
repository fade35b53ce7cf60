package diff

import "testing"

// FuzzKindOfChange compares any two files of one size. Equal files have no reason to differ. For
// others the order of the two does not matter, except that marks of the format are read from one of
// them.
func FuzzKindOfChange(f *testing.F) {
	f.Add("a.pyc", []byte("0123\x00\x00\x00\x0012345678"), []byte("0123\x00\x00\x00\x0087654321"))
	f.Add("a.gz", []byte("\x1f\x8b\x08\x00\x01\x02\x03\x04\x00\x03"), []byte("\x1f\x8b\x08\x00\x04\x03\x02\x01\x00\x03"))
	f.Add("a", []byte("one\ntwo\nthree\n"), []byte("two\none\nthree\n"))
	f.Fuzz(func(t *testing.T, path string, a, b []byte) {
		n := min(len(a), len(b))
		a, b = a[:n], b[:n]
		if kind := kindOfChange(path, a, b); (kind != "") && string(a) == string(b) {
			t.Errorf("equal files differ: %s", kind)
		}
		if path != "" && kindOfChange("", a, b) != kindOfChange("", b, a) && n >= 10 && a[0] == b[0] && a[1] == b[1] {
			t.Error("the other way round the reason is another")
		}
	})
}
