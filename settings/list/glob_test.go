package list

import (
	"path"
	"strings"
	"testing"
)

// slow matches by trying everything.
func slow(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	head, tail, more := strings.Cut(pattern, "/")
	first, rest, after := strings.Cut(name, "/")
	if head == "**" {
		if !more {
			return true
		}
		for {
			if slow(tail, name) {
				return true
			}
			if name == "" {
				return false
			}
			_, name, _ = strings.Cut(name, "/")
		}
	}
	if name == "" {
		return false
	}
	if ok, err := path.Match(strings.ReplaceAll(strings.ReplaceAll(head, "[!", "[^"), "[]", `[\]`), first); err != nil || !ok {
		return false
	}
	if !more || !after {
		return more == after || tail == "**" || strings.Trim(tail, "*/") == "" && tail != "" && !strings.Contains("/"+tail+"/", "/*/")
	}
	return slow(tail, rest)
}

// FuzzGlob compares with a matcher that is slow, and tells that Below never passes over a path.
func FuzzGlob(f *testing.F) {
	f.Add("/etc/**/a*b/[a-c]?", "/etc/x/y/azb/cz")
	f.Add("/a/**/b/**/c", "/a/b/x/b/c")
	f.Add("/**/x/", "/x/y")
	f.Add(`/a/\*\[`, "/a/*[")
	f.Add("/a/[!b]*", "/a/cd")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		name = path.Clean("/" + name)
		g, err := compile(pattern)
		if err != nil || strings.ContainsAny(name, "\x00") {
			return
		}
		shown := g.pattern
		if g.tree {
			shown += "/"
		}
		if again, err := compile(shown); err != nil || again.pattern != g.pattern || again.tree != g.tree || again.base != g.base {
			t.Fatalf("%q is compiled to %q, that to %q: %v", pattern, shown, again.pattern, err)
		}
		got := g.match(name)
		if got {
			for folder := path.Dir(name); folder != "/"; folder = path.Dir(folder) {
				if !g.below(folder) {
					t.Fatalf("%q matches %q, and is not below %q", pattern, name, folder)
				}
			}
		}
		// path.Match has other sets: no ] first, and no - but in ranges
		if strings.Contains(pattern, "[") {
			return
		}
		want := slow(g.pattern[1:], name[1:])
		for folder := name; g.tree && !want && folder != "/"; folder = path.Dir(folder) {
			want = slow(g.pattern[1:], folder[1:])
		}
		if got != want {
			t.Fatalf("%q matches %q: %v", pattern, name, got)
		}
	})
}

// FuzzParse reads any file of settings.d.
func FuzzParse(f *testing.F) {
	f.Add([]byte("keep /etc/hosts merge=lines\nexcept /etc/**/*.bak\ndata /home/\n"))
	f.Add([]byte("keep \"/etc/a b\\x00\" newest secret force # x\n\r\nkeep /etc/[^]a-]"))
	f.Add([]byte("keep /a/**/\nkeep /b/x/**\ndata /a"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range l.Warnings() {
			if w.Line < 1 || w.Column < 1 || strings.ContainsAny(w.String(), "\n\x00") {
				t.Fatalf("%q", w)
			}
		}
		checkAgain(t, l)
	})
}
