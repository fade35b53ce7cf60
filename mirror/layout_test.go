package mirror

import (
	"strings"
	"testing"

	"deltaup/chunkstore"
)

func TestPaths(t *testing.T) {
	id := chunkstore.Sum([]byte("a"))
	hex := id.String()
	for got, want := range map[string]string{
		PackPath(id):           "packs/" + hex[:2] + "/" + hex + ".pack",
		RecipePath(id):         "recipes/" + hex[:2] + "/" + hex + ".recipe.zst",
		IndexPath(id):          "indexes/" + hex[:2] + "/" + hex + ".index",
		ImagePath(id):          "images/" + hex[:2] + "/" + hex + ".squashfs",
		PatchPath(id):          "patches/" + hex[:2] + "/" + hex + ".patch",
		BlockmapPath(id):       "blockmaps/" + hex[:2] + "/" + hex + ".blockmap",
		ReleasePath("1.0"):     "releases/1.0.json",
		PointerPath("testing"): "channels/testing.json",
	} {
		if got != want {
			t.Errorf("path %s, want %s", got, want)
		}
	}
}

func TestValidName(t *testing.T) {
	for _, s := range []string{"1", "a", "2026.11-rc1+b~3", "A_b", strings.Repeat("x", 128)} {
		if !ValidName(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"", ".", "..", ".hidden", "-x", "+x", "a/b", "a\\b", "a b", "a\n", "ä", "a\x00",
		strings.Repeat("x", 129)} {
		if ValidName(s) {
			t.Errorf("%q is taken", s)
		}
	}
}
