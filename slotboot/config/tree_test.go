package config

import (
	"regexp"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// trees are files about whose tables and keys TOML has rules.
var trees = []string{
	"a = 1\na = 2", "a.b = 'x'\na.c = 'y'", "a.b = 'x'\na.b.c = 'y'", "a = 'x'\na.b = 'y'",
	"[a]\n[a]", "[a.b]\n[a]\nc = 'x'", "[a.b]\n[a]\nb.c = 'x'", "[a]\nb.c = 'x'\n[a.b]", "[a]\nb.c = 'x'\n[a.b.d]",
	"[a]\n[[a]]", "[[a]]\n[a]", "[[a]]\nb = 'x'\n[[a]]\nb = 'y'", "[[a]]\n[a.b]\nc = 'x'\n[[a]]\n[a.b]\nc = 'y'",
	"[[a]]\n[a.b]\n[a.b]", "[[a.b]]\n[a]\nc = 'x'", "a = []\n[[a]]", "a = [{b = 'x'}, {b = 'y'}]\n[a.c]",
	"a = {b = 'x'}\n[a.c]", "a = {b = 'x'}\na.c = 'y'", "a = {b = 'x', b = 'y'}", "a = {b.c = 'x', b.d = 'y'}",
	"a = {b = {c = 'x'}, b.d = 'y'}", "a = {b = ['x', ['y', {c = 'z'}]]}", "'' = 'x'\n\"\".b = 'y'", "[a.b.c]\n[a.b]\nd='x'\n[a]\ne='y'",
	"a.b = 'x'\n[a]\nc = 'y'", "[x]\na.b.c = 'x'\na.b = 'y'", "[[a.b]]\n[[a]]", "[a.b]\n[[a]]", "[a]\nb = 'x'\n[[a.b]]",
}

// about are the library's errors about tables and keys. It has others, about values that no key of
// the configuration takes.
var about = regexp.MustCompile(`already|should be a`)

// FuzzTree compares with the library's own decoder.
func FuzzTree(f *testing.F) {
	for _, tree := range append(trees, whole, least) {
		f.Add([]byte(tree))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxSize {
			return
		}
		var want map[string]any
		wrong := toml.Unmarshal(b, &want)
		got, err := parseTree(b)
		switch {
		case err != nil && wrong == nil:
			t.Fatalf("%q: refused, and TOML: %v", b, err)
		case err == nil && wrong != nil && about.MatchString(wrong.Error()):
			t.Fatalf("%q: taken, and no TOML: %v", b, wrong)
		case err == nil && wrong == nil && !same(got, want):
			t.Fatalf("%q: another tree than %v", b, want)
		}
	})
}

// same compares tables, arrays and strings.
func same(n *node, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		ok := n.kind == unstable.Table && len(n.list) == len(want)
		for _, m := range n.list {
			ok = ok && same(m, want[m.name])
		}
		return ok
	case []any:
		ok := n.kind == unstable.Array && len(n.list) == len(want)
		for i := 0; ok && i < len(want); i++ {
			ok = same(n.list[i], want[i])
		}
		return ok
	case string:
		return n.kind == unstable.String && n.text == want
	default:
		return n.kind != unstable.Table && n.kind != unstable.Array
	}
}

// TestForms writes the same file in other ways that TOML has.
func TestForms(t *testing.T) {
	want, err := parse("f", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	slots := whole[strings.Index(whole, "[[slot]]"):]
	inline := `slot = [{name = "a", path = "/dev/disk/by-partlabel/slot-a", boot = "/boot/deltaup/a"},
		{name = "b", path = "/data/slots/b.squashfs", boot = "/boot/deltaup/b", image = "LABEL=data:/slots/b.squashfs"}]
`
	for _, file := range []string{
		strings.Replace(whole, "attempts = 5", "attempts = 0x5", 1),
		strings.Replace(whole, "channel", "Channel", 1),
		inline + strings.Replace(whole, slots, "", 1),
		strings.NewReplacer("[boot]\n", "", "loader =", "boot.loader =", "grubenv =", "boot.grubenv =", "attempts =", "boot.attempts =",
			"args =", "boot.args =", "data =", "boot.data =").Replace(whole),
	} {
		got, err := parse("f", []byte(file))
		if err != nil {
			t.Errorf("%v:\n%s", err, file)
			continue
		}
		if got.Boot != want.Boot || got.Channel != want.Channel || len(got.Slots) != 2 || got.Slots[0] != want.Slots[0] || got.Slots[1] != want.Slots[1] {
			t.Errorf("got %+v of:\n%s", got, file)
		}
	}
	for _, attempts := range []string{"05", "5.0", "99999999999999999999", "true", "[5]", "{a = 5}", "2020-01-01"} {
		_, err := parse("f", []byte(strings.Replace(whole, "attempts = 5", "attempts = "+attempts, 1)))
		if err == nil || !strings.HasPrefix(err.Error(), "f:10: ") {
			t.Errorf("attempts = %s: %v", attempts, err)
		}
	}
}
