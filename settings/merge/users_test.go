package merge

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestUsers(t *testing.T) {
	const (
		root = "root:x:0:0:root:/root:/bin/bash\n"
		nis  = "+::::::\n"
	)
	type texts struct{ base, local, image string }
	for name, c := range map[string]struct {
		table string
		texts
		want    string
		remarks string
	}{
		"a new account on each side": {passwd, texts{root, root + "me:x:1000:1000::/home/me:/bin/sh\n", root + "ntp:x:101:102::/:/bin/false\n"},
			root + "ntp:x:101:102::/:/bin/false\nme:x:1000:1000::/home/me:/bin/sh\n", ""},
		"a row changed on each side": {passwd, texts{root, strings.Replace(root, "bash", "zsh", 1), strings.Replace(root, ":root:/", ":The Root:/", 1)},
			"root:x:0:0:The Root:/root:/bin/zsh\n", ""},
		"a field changed on both sides": {passwd, texts{root, strings.Replace(root, "bash", "zsh", 1), strings.Replace(root, "/bin/bash", "/usr/bin/bash", 1)},
			"root:x:0:0:root:/root:/bin/zsh\n", ""},
		"a shell that the image takes away": {passwd, texts{root + "a:x:1:1::/:/bin/sh\nb:x:2:2::/:/bin/sh\n", root + "a:x:1:1:A:/:/bin/sh\nb:x:2:2::/:/bin/zsh\n",
			root + "a:x:1:1::/:/sbin/nologin\nb:x:2:2::/:/sbin/nologin\n"},
			root + "a:x:1:1:A:/:/sbin/nologin\nb:x:2:2::/:/bin/zsh\n", ""},
		"numbers of the image's system accounts": {passwd, texts{"a:x:5:5::/:/\n", "a:x:5:5:changed:/:/\n", "a:x:7:8::/:/\n"}, "a:x:7:8:changed:/:/\n",
			`"a" has the number 7 of the image, and had 5; "a" has the number 8 of the image, and had 5`},
		"numbers that both changed": {passwd, texts{"a:x:5:5::/:/\nme:x:1000:1000::/:/\n", "a:x:6:6::/:/\nme:x:1001:1001::/:/\n", "a:x:7:7::/:/\nme:x:1002:1002::/:/\n"},
			"a:x:7:7::/:/\nme:x:1001:1001::/:/\n", `"a" has the number 7 of the image, and had 6; "a" has the number 7 of the image, and had 6`},
		"a name that both made": {group, texts{"", "a:x:999:me\n", "a:x:105:you\n"}, "a:x:105:you,me\n",
			`"a" has the number 105 of the image, and had 999`},
		"numbers that collide": {group, texts{"a:x:1:\n", "a:x:1:\nown:x:999:\nme:x:1000:\n", "a:x:1:\nsvc:x:999:\nkiosk:x:1000:\n"},
			"a:x:1:\nsvc:x:999:\nkiosk:x:1000:\nown:x:999:\nme:x:1000:\n",
			`"svc" and "own" both have the number 999; "kiosk" and "me" both have the number 1000`},
		"numbers that collided before": {group, texts{"a:x:1:\n", "a:x:1:\nb:x:1:\n", "a:x:1:\nc:x:2:\n"}, "a:x:1:\nc:x:2:\nb:x:1:\n", ""},
		"accounts that one side removed": {group, texts{"a:x:1:\nb:x:2:\nc:x:3:\nd:x:4:\n", "a:x:1:\nc:x:3:me\nd:x:4:\n", "a:x:1:\nb:x:2:you\n"}, "a:x:1:\nc:x:3:me\n",
			`"c" is no account of the image any more, and stays: the machine has changed it`},
		"members": {group, texts{"g:x:1:a,b,c,d\n", "g:x:1:d,a,b,z,y\n", "g:x:1:b,n,a,c\n"}, "g:x:1:b,n,a,z,y\n", ""},
		"passwords": {shadow, texts{"root:*:1:0:99999:7:::\na:!:1:0:99999:7:::\nb:!:1:0:99999:7:::\nc:$old:1:0:99999:7:::\n",
			"root:$mine:9:0:99999:7:::\na:!:1:0:99999:7:::\nb:$mine:9:0:99999:7:::\nc:$old:1:0:77:7:::\n",
			"root:*:5:0:99999:7:::\na:*:5:0:99999:7:::\nb:*:5:0:99999:14:::\nc:!:5:0:99999:7:::\n"},
			"root:$mine:9:0:99999:7:::\na:*:5:0:99999:7:::\nb:$mine:9:0:99999:14:::\nc:!:5:0:77:7:::\n", ""},
		"a day of the image alone": {shadow, texts{"a:!:1:::::x:\n", "a:!:1:::::y:\n", "a:!:5:::::x:\n"}, "a:!:5:::::y:\n", ""},
		"administrators":           {gshadow, texts{"g:!:a:b\n", "g:!:a,m:b\n", "g:!::b,i\n"}, "g:!:m:b,i\n", ""},
		"lines of NIS": {passwd, texts{root + nis, root + "me:x:1000:1000::/:/\n" + nis, root + "svc:x:9:9::/:/\n" + nis},
			root + "svc:x:9:9::/:/\nme:x:1000:1000::/:/\n" + nis, ""},
		"NIS by the machine": {passwd, texts{root, root + "me:x:1000:1000::/:/\n" + nis, root + "svc:x:9:9::/:/\n"},
			root + "svc:x:9:9::/:/\nme:x:1000:1000::/:/\n" + nis, ""},
		"comments": {passwd, texts{"# one\n\n" + root, "# one\n\n" + root + "# mine\n\n", "# one\n# two\n\n" + root},
			"# one\n# two\n\n" + root + "# mine\n\n", ""},
		"lines that are no rows": {group, texts{"a:x:1:\n", "a:x:1:\nb:x:2\nc:x:two:\nd:x:-2:\n:x:3:\ne:x:4::\n", "a:x:1:\nb:x:2:\n"},
			"a:x:1:\nb:x:2:\nb:x:2\nc:x:two:\nd:x:-2:\n:x:3:\ne:x:4::\n", ""},
		"a name twice": {group, texts{"a:x:1:\n", "a:x:1:\na:x:0:\nme:x:1000:\n", "a:x:1:\nb:x:2:\n"}, "a:x:1:\nb:x:2:\nme:x:1000:\n",
			`"a" has a second row, which is left out`},
		"the machine's order": {group, texts{"a:x:1:\nb:x:2:\n", "me:x:1000:\nb:x:2:\na:x:1:\n", "a:x:1:\nb:x:3:\n"}, "me:x:1000:\nb:x:3:\na:x:1:\n",
			`"b" has the number 3 of the image, and had 2`},
		"no end": {group, texts{"a:x:1:", "a:x:1:\nme:x:1000:", "a:x:1:\nb:x:2:"}, "a:x:1:\nb:x:2:\nme:x:1000:\n", ""},
	} {
		got, remarks, err := Users(c.table, []byte(c.base), []byte(c.local), []byte(c.image))
		if err != nil || string(got) != c.want || strings.Join(remarks, "; ") != c.remarks {
			t.Errorf("%s: %v\n%s%q\nnot\n%s%s", name, err, got, remarks, c.want, c.remarks)
		}
	}
}

func TestUsersRefused(t *testing.T) {
	good := []byte("a:x:1:\n")
	for name, bad := range map[string][]byte{
		"a zero byte": []byte("a:x:1:\n\x00"), "size": bytes.Repeat([]byte("x"), maxTable+1), "rows": bytes.Repeat([]byte("\n"), maxRows+1),
	} {
		for i := range 3 {
			texts := [3][]byte{good, []byte("b:x:1:\n"), []byte("c:x:1:\n")}
			texts[i] = bad
			if _, _, err := Users(group, texts[0], texts[1], texts[2]); err == nil {
				t.Errorf("%s is taken as version %d", name, i)
			}
		}
	}
	if _, _, err := Users("hosts", good, nil, []byte("b")); err == nil {
		t.Error("hosts is a table")
	}
	// Names that are the same again and again, and members without end.
	var local, image bytes.Buffer
	for i := range maxRows {
		fmt.Fprintf(&local, "g%d:x:7:\n", i%40000)
		fmt.Fprintf(&image, "h%d:x:7:\n", i)
	}
	got, remarks, err := Users(group, good, local.Bytes(), image.Bytes())
	if err != nil || bytes.Count(got, []byte("\n")) != 90_000 || len(remarks) != maxRemarks+1 {
		t.Errorf("%v, %d rows, %d remarks", err, bytes.Count(got, []byte("\n")), len(remarks))
	}
}

// machine is a set of tables that fit together, changed as the tools change them.
type machine map[string][]string

func (m machine) clone() machine {
	c := machine{}
	for table, rows := range m {
		c[table] = slices.Clone(rows)
	}
	return c
}

func (m machine) text(table string) []byte {
	if len(m[table]) == 0 {
		return nil
	}
	return []byte(strings.Join(m[table], "\n") + "\n")
}

func (m machine) add(name string, id int) {
	m[passwd] = append(m[passwd], fmt.Sprintf("%s:x:%d:%d::/home/%s:/bin/sh", name, id, id, name))
	m[group] = append(m[group], fmt.Sprintf("%s:x:%d:", name, id))
	m[shadow] = append(m[shadow], name+":!:20000:0:99999:7:::")
	m[gshadow] = append(m[gshadow], name+":!::")
}

func (m machine) remove(name string) {
	for table := range m {
		m[table] = slices.DeleteFunc(m[table], func(row string) bool { return strings.HasPrefix(row, name+":") })
	}
	m.member(name, "", false)
}

// set sets a field of a row.
func (m machine) set(table string, name string, field int, value string) {
	for i, row := range m[table] {
		if values := strings.Split(row, ":"); values[0] == name {
			values[field] = value
			m[table][i] = strings.Join(values, ":")
		}
	}
}

// member puts a name into a group, or takes it out; no group: out of all.
func (m machine) member(name, of string, in bool) {
	for _, table := range []string{group, gshadow} {
		for i, row := range m[table] {
			values := strings.Split(row, ":")
			if of != "" && values[0] != of {
				continue
			}
			members := slices.DeleteFunc(strings.Split(values[3], ","), func(n string) bool { return n == "" || n == name })
			if in {
				members = append(members, name)
			}
			values[3] = strings.Join(members, ",")
			m[table][i] = strings.Join(values, ":")
		}
	}
}

func (m machine) names() []string {
	var names []string
	for _, row := range m[passwd] {
		name, _, _ := strings.Cut(row, ":")
		names = append(names, name)
	}
	return names
}

// change does what a tool may do.
func (m machine) change(r *rand.Rand, side string, n int) {
	names := m.names()
	name := names[r.IntN(len(names))]
	of := names[r.IntN(len(names))]
	switch r.IntN(6) {
	case 0:
		m.add(fmt.Sprint(side, n), []int{100, 900, 1000}[r.IntN(3)]+r.IntN(99))
	case 1:
		m.set(shadow, name, 1, "$y$"+side)
		m.set(shadow, name, 2, fmt.Sprint(20000+r.IntN(100)))
	case 2:
		m.set(passwd, name, 6, "/bin/"+side)
	case 3:
		m.member(name, of, true)
	case 4:
		m.member(name, of, false)
	case 5:
		// what the other side may have changed too is told by other tests: it fits together no more
		if strings.HasPrefix(name, side) {
			m.remove(name)
		}
	}
}

// TestUsersTogether merges all four tables of random machines and images. Whatever is merged keeps
// the laws of a merge, and pwck and grpck find nothing wrong with the four.
func TestUsersTogether(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	checked := 0
	for round := range 200 {
		base := machine{}
		for i, name := range []string{"root", "daemon", "sshd", "kiosk"} {
			base.add(name, []int{0, 1, 101, 1000}[i])
		}
		local, image := base.clone(), base.clone()
		for i := range 1 + r.IntN(8) {
			local.change(r, "m", i)
		}
		for i := range 1 + r.IntN(8) {
			image.change(r, "i", i)
		}
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		for table := range base {
			b, l, i := base.text(table), local.text(table), image.text(table)
			got := merged(t, table, b, l, i)
			write(t, filepath.Join(dir, "etc", table), got)
			for _, law := range []struct {
				name              string
				base, local, then []byte
				want              []byte
			}{
				{"no change by the machine", b, b, i, i}, {"no change by the image", b, l, b, l}, {"the same change", b, l, l, l},
				{"again", b, got, i, got}, {"the next image is the same", i, got, i, got},
			} {
				if again := merged(t, table, law.base, law.local, law.then); !bytes.Equal(again, law.want) {
					t.Fatalf("%s of %s\nbase\n%s\nlocal\n%s\nimage\n%s\ngives\n%s\nnot\n%s", law.name, table, law.base, law.local, law.then, again, law.want)
				}
			}
		}
		if check(t, dir) {
			checked++
		}
		if t.Failed() {
			t.Fatalf("round %d: local %q, image %q", round, local, image)
		}
	}
	if checked == 0 {
		t.Log("no pwck")
	}
}

func merged(t *testing.T, table string, base, local, image []byte) []byte {
	t.Helper()
	got, _, err := Users(table, base, local, image)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// check has pwck and grpck read the tables of a root; it is false without them, or without the right
// to change to that root.
func check(t *testing.T, root string) bool {
	t.Helper()
	for _, c := range [][]string{{"pwck", "-q"}, {"grpck"}} { // -q: homes and shells are not here
		tool := "/usr/sbin/" + c[0]
		if _, err := os.Stat(tool); err != nil || os.Getuid() != 0 {
			if os.Getenv("DELTAUP_TEST_ALL") != "" {
				t.Fatalf("%v, or not root", err)
			}
			return false
		}
		if out, err := exec.Command(tool, append(c[1:], "-r", "-R", root)...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", c[0], err, out)
		}
	}
	return true
}

func FuzzUsers(f *testing.F) {
	f.Add(uint8(0), []byte("root:x:0:0:root:/root:/bin/sh\n"), []byte("root:x:0:0:root:/root:/bin/zsh\nme:x:1000:1000::/:/\n+::::::\n"), []byte("# c\nroot:x:0:0:Root:/root:/bin/sh\nntp:x:1:1::/:/"))
	f.Add(uint8(1), []byte("a:x:1:a,b\n\n"), []byte("a:x:1:b,c\na:x:1:\n"), []byte("a:x:2:b,a,d\n#\n\n\n"))
	f.Add(uint8(2), []byte("a:!:1:0:99999:7:::\n"), []byte("a:$:2:0:99999:7:::\n"), []byte("a:*:3:0:99999:7:::\nb:*:3::::::\n"))
	f.Add(uint8(3), []byte("a:!:a:b\n"), []byte("a:!:b:b\n"), []byte("a:!::\n"))
	f.Fuzz(func(t *testing.T, kind uint8, base, local, image []byte) {
		table := []string{passwd, group, shadow, gshadow}[kind%4]
		got, remarks, err := Users(table, base, local, image)
		if err != nil {
			return
		}
		for _, r := range remarks {
			if strings.ContainsAny(r, "\n\x00") {
				t.Fatalf("%q", r)
			}
		}
		if _, ok := unchanged(base, local, image); ok || bytes.Equal(got, base) {
			return
		}
		again, _, err := Users(table, base, got, image)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%s\nbase\n%s\nlocal\n%s\nimage\n%s\ngives\n%s\nand again\n%s%v", table, base, local, image, got, again, err)
		}
	})
}
