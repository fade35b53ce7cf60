package list

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var update = flag.Bool("update", false, "write testdata/tinycore.conf anew: go test ./settings/list -run TestFiletool -update")

// TestFiletool reads the list of a real appliance (AirFlashOnPi, on piCore 9), with a list of
// patterns as piCorePlayer's.
func TestFiletool(t *testing.T) {
	image := os.DirFS("testdata/tinycore")
	l, err := Read(image)
	if err != nil {
		t.Fatal(err)
	}
	if w := l.Warnings(); len(w) > 0 {
		t.Errorf("%v", w)
	}
	want, err := os.ReadFile("testdata/tinycore.conf")
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Text(); *update {
		write(t, "testdata/tinycore.conf", string(got))
	} else if !bytes.Equal(got, want) {
		t.Errorf("the list is\n%s", got)
	}
	if got := l.Places(); !slices.Equal(got, []string{"/etc", "/opt", "/usr/local"}) {
		t.Errorf("places %q", got)
	}
	if got := l.Data(); !slices.Equal(got, []string{"/home"}) {
		t.Errorf("data %q", got)
	}
	if o, ok := l.Keep("/etc/shadow"); !ok || o != (Options{Merge: Users, Newest: true, Secret: true}) {
		t.Errorf("shadow: %v %v", o, ok)
	}
	if o, ok := l.Keep("/usr/local/etc/ssh/ssh_host_rsa_key"); !ok || !o.Newest || !o.Secret {
		t.Errorf("host key: %v %v", o, ok)
	}
	if _, ok := l.Keep("/opt/jivelite/x"); ok {
		t.Error("what a pattern leaves out is kept")
	}
}

// TestFiletoolLines shows what each line becomes.
func TestFiletoolLines(t *testing.T) {
	image := fstest.MapFS{
		"home/tc/x": {}, "var/lib/app/x": {}, "var/lib/app.conf": {}, "home/file": {}, "opt/a": {},
	}
	for line, want := range map[string]string{
		"opt":               "keep /opt/\n",
		"/opt/":             "keep /opt/\n",
		"./opt/x":           "keep /opt/x/\n",
		"opt//x":            "keep /opt/x/\n",
		"opt/a b":           "keep \"/opt/a b/\"\n",
		"opt/*?[\\":         "keep /opt/\\*\\?\\[\\\\/\n",
		"opt/#x":            "keep /opt/#x/\n",
		"home":              "data /home/\n",
		"home/tc/":          "data /home/tc/\n",
		"root":              "data /root/\n",
		"home/new":          "data /home/new/\n",
		"home/file":         "keep /home/file\nkeep /home/file/\n",
		"home/tc/.ashrc":    "keep /home/tc/.ashrc\nkeep /home/tc/.ashrc/\n",
		"var/lib/app":       "keep /var/lib/app/\n",
		"var/lib/app.conf":  "keep /var/lib/app.conf\nkeep /var/lib/app.conf/\n",
		"var/lib/none":      "keep /var/lib/none\nkeep /var/lib/none/\n",
		"etc/shadow":        "keep /etc/shadow/ merge=users newest secret\n",
		"etc/ssh":           "keep /etc/ssh/\nkeep /etc/ssh/ssh_host_* newest secret\n",
		"etc/dropbear":      "keep /etc/dropbear/ newest secret\n",
		"etc/dropbear/host": "keep /etc/dropbear/host/ newest secret\n",
		"usr/bin/x":         "",
		"etc/fstab":         "",
		"#comment":          "",
		"opt/../etc":        "",
		"/":                 "",
		".":                 "",
		"\nopt":             "keep /opt/\n",
	} {
		image["opt/.filetool.lst"] = &fstest.MapFile{Data: []byte(line + "\n")}
		l, err := Read(image)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(l.Text()); got != want || (want == "") != (len(l.Warnings()) == 1) {
			t.Errorf("%s is %q, %v; not %q", line, got, l.Warnings(), want)
		}
	}
	for line, want := range map[string]string{
		"Cache": "except /**/Cache/\n", "home/tc/.wbar/": "except /**/home/tc/.wbar/\n", "*~": "except /**/*~/\n",
		"a**b/**": "except /**/a*b/*/\n", `\*`: "except /**/\\*/\n", "[[:digit:]x]": "except /**/[0-9x]/\n",
		"[^]a]": "except /**/[!]a]/\n", "[x": "except /**/\\[x/\n", "[[:nope:]": "except /**/[[:nope:]/\n",
		"/etc/x": "", `x\`: "", "a//b": "", "[[=a=]]": "", "[z-a]": "", "[a/b]x/y": "except /**/[ab]x/y/\n", "[+-/]": "", "[/]": "",
	} {
		image["opt/.filetool.lst"] = &fstest.MapFile{Data: []byte("opt\n")}
		image["opt/.xfiletool.lst"] = &fstest.MapFile{Data: []byte("\n" + line)}
		l, err := Read(image)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimPrefix(string(l.Text()), "keep /opt/\n"); got != want || (want == "") != (len(l.Warnings()) == 1) {
			t.Errorf("%s is %q, %v; not %q", line, got, l.Warnings(), want)
		}
	}
}

// TestTar has tar itself pack random trees by random lists. The members that it packs are what the
// list keeps. GNU tar goes by the same rules as the tar of busybox when it is told that no wildcard
// matches a slash, and gets no slash at the end of a pattern. DELTAUP_TEST_BUSYBOX names a busybox with FEATURE_TAR_FROM, which Debian's is built
// without.
func TestTar(t *testing.T) {
	tars := map[string][]string{}
	if path, err := exec.LookPath("tar"); err == nil {
		tars["GNU tar"] = []string{path, "--no-wildcards-match-slash", "--verbatim-files-from", "--no-unquote", "-X", "XG", "-cf", "-", "-C", "root", "-T", "L"}
	} else if os.Getenv("DELTAUP_TEST_ALL") != "" {
		t.Fatal("tar is missing")
	}
	if path := os.Getenv("DELTAUP_TEST_BUSYBOX"); path != "" {
		tars["busybox"] = []string{path, "tar", "-C", "root", "-T", "L", "-X", "X", "-cf", "-"}
	}
	if len(tars) == 0 {
		t.Skip("no tar")
	}
	random := rand.New(rand.NewPCG(1, 5))
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	name := func() string {
		return one("a", "b", "ab", "abc", "a.bak", ".a", "[a", "*", "a b", "-", `a\`, "a]", "B", "1", "#a")
	}
	pattern := func() string {
		return one(name(), name(), "*", "?", "a*", "*.bak", "[ab]", "[!a]", "[^a-b]", "[[:alpha:]]*", "[[:digit:]]", "[a", `\a`, `a\\`,
			"**", "*b*", "a?c", "[]a]", "[!]]", "?*c", `\*`, "[a-", "[b-a]", "[[:upper:][:digit:]]")
	}
	path := func(part func() string) string {
		parts := []string{part()}
		for random.IntN(2) == 0 {
			parts = append(parts, part())
		}
		return strings.Join(parts, "/")
	}
	kept, left := 0, 0
	for round := range 150 {
		dir := t.TempDir()
		root := filepath.Join(dir, "root")
		var all []string
		for range 30 {
			file := filepath.Join(root, "opt", path(name))
			if os.MkdirAll(filepath.Dir(file), 0o755) == nil {
				_ = os.WriteFile(file, nil, 0o644)
			}
		}
		var names, patterns strings.Builder
		for range 1 + random.IntN(4) {
			names.WriteString("opt/" + path(name))
			names.WriteString(one("\n", "\n", "/\n", "\n\n"))
		}
		for range random.IntN(4) {
			patterns.WriteString(one("", "", "opt/", "/", "/opt/") + path(pattern) + one("\n", "\n", "/\n", "\n\n"))
		}
		// filetool.sh takes empty lines out of the one list
		write(t, filepath.Join(dir, "L"), strings.ReplaceAll(names.String(), "\n\n", "\n"))
		write(t, filepath.Join(dir, "X"), patterns.String())
		write(t, filepath.Join(dir, "XG"), strings.ReplaceAll(patterns.String(), "/\n", "\n"))
		write(t, filepath.Join(root, filetool), names.String())
		write(t, filepath.Join(root, xfiletool), patterns.String())
		l, err := Read(os.DirFS(root))
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			path = "/" + strings.TrimPrefix(strings.TrimPrefix(path, root), "/")
			all = append(all, path)
			if _, ok := l.Keep(path); ok {
				want = append(want, path)
			} else if e.IsDir() && !l.Below(path) {
				return fs.SkipDir
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for tool, args := range tars {
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Dir = dir
			// names that are not there are errors for tar; they are said, and left out
			archive, _ := cmd.Output()
			got := members(t, archive)
			if !slices.Equal(got, want) {
				t.Fatalf("round %d, %s:\n%s\n%s\npacks %q\nkept  %q\n%v", round, tool, names.String(), patterns.String(), got, want, l.Warnings())
			}
		}
		kept, left = kept+len(want), left+len(all)-len(want)
	}
	if kept < 300 || left < 300 {
		t.Errorf("%d kept, %d left out: the trees show little", kept, left)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// members are the names in an archive, absolute and sorted as a walk comes by them.
func members(t *testing.T, archive []byte) []string {
	t.Helper()
	var names []string
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if err != nil {
			break
		}
		names = append(names, filepath.Clean("/"+h.Name))
	}
	slices.SortFunc(names, func(a, b string) int { return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")) })
	return slices.Compact(names)
}

// TestFiletoolHostile reads lists that are made to take time.
func TestFiletoolHostile(t *testing.T) {
	for _, line := range []string{
		strings.Repeat("[", maxPattern), strings.Repeat("[", maxFile-1), strings.Repeat("*a", maxPattern/2), "etc", "../", strings.Repeat("/", maxFile-1),
	} {
		text := []byte(strings.Repeat(line+"\n", maxFile/(len(line)+1)))
		l, err := Read(fstest.MapFS{"opt/.filetool.lst": {Data: text}, "opt/.xfiletool.lst": {Data: text}})
		if err != nil {
			t.Fatal(err)
		}
		l.Keep("/etc/" + strings.Repeat("a", 255))
		l, err = Read(fstest.MapFS{"opt/.filetool.lst": {Data: []byte("etc")}, "opt/.xfiletool.lst": {Data: text}})
		if err != nil {
			t.Fatal(err)
		}
		l.Keep("/etc/" + strings.Repeat("a", 255))
	}
}

// FuzzFiletool reads any two lists.
func FuzzFiletool(f *testing.F) {
	f.Add([]byte("opt\nhome\netc/shadow\n"), []byte("Cache\n*.bak\n[a-z]*/x\n"))
	f.Add([]byte("/etc/\n./x y\n\n.."), []byte("[[:alpha:]]\n[\n\\\n//\n"))
	f.Fuzz(func(t *testing.T, names, patterns []byte) {
		l, err := Read(fstest.MapFS{"opt/.filetool.lst": {Data: names}, "opt/.xfiletool.lst": {Data: patterns}})
		if err != nil {
			t.Fatal(err)
		}
		checkAgain(t, l)
	})
}

// checkAgain has a list read its own text.
func checkAgain(t *testing.T, l *List) {
	t.Helper()
	text := l.Text()
	again, err := Parse(text)
	if err != nil || len(again.Warnings()) > 0 || !bytes.Equal(again.Text(), text) {
		t.Fatalf("%q is read as %q, %v, %v", text, again.Text(), again.Warnings(), err)
	}
	if fmt.Sprint(again.Places(), again.Data()) != fmt.Sprint(l.Places(), l.Data()) {
		t.Fatalf("%q has other folders", text)
	}
}
