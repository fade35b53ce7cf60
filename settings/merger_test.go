package settings

import (
	"io"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/settings/list"
)

// treeOf is entries by lines "PATH WHAT": a word is a file with this content, "/" a folder, ->X a link,
// "-" a path that is gone; then perhaps a mode in octal.
func treeOf(t *testing.T, lines string) []Entry {
	var entries []Entry
	for line := range strings.SplitSeq(lines, ",") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		e := Entry{Path: "/etc/" + f[0], Kind: File, Mode: 0o644, Size: int64(len(f[1])), Content: chunkstore.Sum([]byte(f[1]))}
		if target, ok := strings.CutPrefix(f[1], "->"); ok {
			e = Entry{Path: e.Path, Kind: Link, Target: target}
		}
		switch f[1] {
		case "/":
			e = Entry{Path: e.Path, Kind: Folder, Mode: 0o755}
		case "-":
			e = *none(e.Path)
		}
		if len(f) > 2 {
			l := newLine(f[2])
			e.Mode = uint32(l.number(8, 0o7777))
			if l.err != nil {
				t.Fatal(l.err)
			}
		}
		entries = append(entries, e)
	}
	sortEntries(entries)
	return entries
}

func newLine(s string) *line { return &line{rest: s} }

// shownTree is treeOf the other way round.
func shownTree(entries []Entry) string {
	contents := map[chunkstore.ID]string{}
	for c := 'a'; c <= 'z'; c++ {
		contents[chunkstore.Sum([]byte(string(c)))] = string(c)
	}
	var lines []string
	for _, e := range entries {
		what := map[Kind]string{Folder: "/", Gone: "-", Link: "->" + e.Target, File: contents[e.Content]}[e.Kind]
		if e.Kind == File && e.Mode != 0o644 || e.Kind == Folder && e.Mode != 0o755 {
			what += " " + string([]byte{byte('0' + e.Mode>>6), byte('0' + e.Mode>>3&7), byte('0' + e.Mode&7)})
		}
		lines = append(lines, strings.TrimPrefix(e.Path, "/etc/")+" "+what)
	}
	return strings.Join(lines, ",")
}

func TestMerge(t *testing.T) {
	const all = "keep /etc/\n"
	for _, c := range []struct {
		name, rules              string
		base, settings, image    string // the old defaults, what differs from them, the new defaults
		want, conflicts, dropped string
	}{
		{name: "nothing"},
		{name: "image changes", base: "f a", image: "f b"},
		{name: "machine changes", base: "f a", settings: "f b", image: "f a", want: "f b"},
		{name: "both alike", base: "f a", settings: "f b", image: "f b"},
		{name: "both", base: "f a", settings: "f b", image: "f c", want: "f b", conflicts: "f local"},
		{name: "both, image", rules: "merge=image", base: "f a", settings: "f b", image: "f c", conflicts: "f image"},
		{name: "both, refuse", rules: "merge=refuse", base: "f a", settings: "f b", image: "f c", want: "f b", conflicts: "f local"},
		{name: "both add", settings: "f b", image: "f c", want: "f b", conflicts: "f local"},
		{name: "both add alike", settings: "f b", image: "f b"},
		{name: "machine adds", settings: "f b", want: "f b"},
		{name: "machine removes", base: "f a", settings: "f -", image: "f a", want: "f -"},
		{name: "both remove", base: "f a", settings: "f -"},
		{name: "machine removes, image changes", base: "f a", settings: "f -", image: "f b", want: "f -", conflicts: "f local"},
		{name: "machine removes, image changes and counts", rules: "merge=image", base: "f a", settings: "f -", image: "f b", conflicts: "f image"},
		{name: "image removes, machine changes", base: "f a", settings: "f b", want: "f b", conflicts: "f local"},
		{name: "image removes", base: "f a"},
		{name: "mode and content", base: "f a", settings: "f a 600", image: "f b", want: "f b 600"},
		{name: "content and mode", base: "f a", settings: "f b", image: "f a 600", want: "f b 600"},
		{name: "mode and both contents", base: "f a", settings: "f b 600", image: "f c", want: "f b 600", conflicts: "f local"},
		{name: "a part of each", rules: "merge=image", base: "f a", settings: "f b 600", image: "f c", want: "f c 600", conflicts: "f merged"},
		{name: "modes of a folder", base: "d /", settings: "d / 700", image: "d / 750", want: "d / 700", conflicts: "d local"},
		{name: "link against file", base: "f a", settings: "f ->x", image: "f b", want: "f ->x", conflicts: "f local"},
		{name: "links", base: "f ->x", settings: "f ->y", image: "f ->z", want: "f ->y", conflicts: "f local"},
		{name: "file to folder", base: "f a", settings: "f /,f/x b", image: "f a", want: "f /,f/x b"},
		{name: "file to folder, both", base: "f a", settings: "f /,f/x b", image: "f c", want: "f /,f/x b", conflicts: "f local"},
		{name: "file to folder, image counts", rules: "merge=image", base: "f a", settings: "f /,f/x b", image: "f c", conflicts: "f image"},
		{name: "folder to file", base: "d /,d/x a", settings: "d b,d/x -", image: "d /,d/x a", want: "d b,d/x -"},
		{name: "folder to file, image has new", base: "d /,d/x a", settings: "d b,d/x -", image: "d /,d/x a,d/y c", want: "d b,d/x -"},
		{name: "folder goes, image has new", base: "d /,d/x a", settings: "d -,d/x -", image: "d /,d/x a,d/y c", want: "d/x -"},
		{name: "folder goes, image changes", base: "d /,d/x a", settings: "d -,d/x -", image: "d /,d/x b", want: "d -,d/x -", conflicts: "d/x local"},
		{name: "folder goes, image counts", rules: "merge=image", base: "d /,d/x a", settings: "d -,d/x -", image: "d /,d/x b", conflicts: "d/x image"},
		{name: "image removes the folder", base: "d / 700,d/x a,d/y a", settings: "d/x b", want: "d / 700,d/x b", conflicts: "d/x local"},
		{name: "image removes the folder of something new", base: "d / 700", settings: "d/x b", want: "d / 700,d/x b"},
		{name: "image has a link for the folder", base: "d /,d/x a", settings: "d/x b", image: "d ->e", want: "d /,d/x b", conflicts: "d local,d/x local"},
		{name: "image has a link for the folder, and counts", rules: "merge=image", base: "d /", settings: "d/x b", image: "d ->e"},
		{name: "not kept", rules: "except", base: "f a", settings: "f b,no c", image: "f a", want: "f b", dropped: "/etc/no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := all
			switch {
			case c.rules == "except":
				text += "except /etc/no\n"
			case c.rules != "":
				text = "keep /etc/ " + c.rules + "\n"
			}
			now, err := list.Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			old, err := list.Parse([]byte(all))
			if err != nil {
				t.Fatal(err)
			}
			of := func(lines string, l *list.List) *defaults {
				etc := Entry{Path: "/etc", Kind: Folder, Mode: 0o755}
				return &defaults{Generation: Generation{Entries: append([]Entry{etc}, treeOf(t, lines)...)}, list: l}
			}
			from, to := of(c.base, old), of(c.image, now)
			m := &merger{from: from, to: to, old: listed{old, now}, entries: treeOf(t, c.settings),
				open: func(chunkstore.ID) (io.ReadCloser, error) { return nil, ErrNone }}
			if err := m.run(); err != nil {
				t.Fatal(err)
			}
			if have := shownTree(m.list()); have != c.want {
				t.Errorf("%s, want %s", have, c.want)
			}
			var conflicts []string
			for _, k := range m.conflicts {
				conflicts = append(conflicts, strings.TrimPrefix(k.Path(), "/etc/")+" "+k.Taken)
			}
			if have := strings.Join(conflicts, ","); have != c.conflicts {
				t.Errorf("conflicts: %s, want %s", have, c.conflicts)
			}
			if have := strings.Join(m.dropped, ","); have != c.dropped {
				t.Errorf("dropped: %s, want %s", have, c.dropped)
			}
			for _, e := range m.list() {
				if d := find(to.Entries, e.Path); d != nil && e.Default != d.id() || d == nil && !e.Default.IsZero() {
					t.Errorf("%s has the default %s", &e, e.Default)
				}
			}
			if !slices.IsSortedFunc(m.list(), func(a, b Entry) int { return strings.Compare(a.Path, b.Path) }) {
				t.Error("not sorted")
			}
		})
	}
}
