package rootfs

import (
	"strings"
	"testing"
)

func TestBelow(t *testing.T) {
	for _, c := range []struct {
		path, dir string
		want      bool
	}{
		{"a", "", true}, {"", "", false}, {"a/b", "a", true}, {"a/b/c", "a", true},
		{"a", "a", false}, {"ab", "a", false}, {"a-b", "a", false}, {"b/a", "a", false},
	} {
		if got := below(c.path, c.dir); got != c.want {
			t.Errorf("below(%q, %q) = %v", c.path, c.dir, got)
		}
	}
}

func names(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}
