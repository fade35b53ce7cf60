package layers_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"deltaup/internal/test/debtest"
	"deltaup/mkimage/layers"
)

func lockText(lines ...string) string {
	return strings.Join(append([]string{"deltaup-lock 1"}, lines...), "\n") + "\n"
}

var sum = strings.Repeat("0f", 32)

func TestLock(t *testing.T) {
	digest := "sha256:" + sum
	text := lockText("debian "+digest, "site "+digest, "box "+digest+" r/box:1", "debian a 1:2-3 amd64 5 "+sum+" http://x/a.deb", "debian b 1 all 0 "+sum+" http://x/b.deb", "site a 1 amd64 5 "+sum+" http://x/a.deb")
	l, err := layers.ReadLock(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := l.WriteTo(&b); err != nil || b.String() != text {
		t.Errorf("written %q, %v", b.String(), err)
	}
	for name, text := range map[string]string{
		"empty":      "",
		"magic":      "deltaup-lock 2\n",
		"words":      lockText("debian a 1 amd64"),
		"digest":     lockText("debian sha256:0"),
		"request":    lockText("box "+digest+" r/box:1", "debian "+digest),
		"requests":   lockText("site "+digest, "debian "+digest),
		"containers": lockText("site "+digest+" b", "debian "+digest+" a"),
		"container":  lockText("debian a 1 amd64 5 "+sum+" u", "box "+digest+" r/box:1"),
		"two spaces": lockText("debian a  1 amd64 5 " + sum + " u"),
		"size":       lockText("debian a 1 amd64 +5 " + sum + " u"),
		"negative":   lockText("debian a 1 amd64 -5 " + sum + " u"),
		"hash":       lockText("debian a 1 amd64 5 " + sum[1:] + " u"),
		"upper case": lockText("debian a 1 amd64 5 " + strings.ToUpper(sum) + " u"),
		"twice":      lockText("debian a 1 amd64 5 "+sum+" u", "debian a 2 amd64 5 "+sum+" u"),
		"order":      lockText("debian b 1 amd64 5 "+sum+" u", "debian a 1 amd64 5 "+sum+" u"),
		"long":       lockText("debian a 1 amd64 5 " + sum + " " + strings.Repeat("u", 5000)),
	} {
		if _, err := layers.ReadLock(strings.NewReader(text)); !errors.Is(err, layers.ErrLock) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLockFits refuses locks of definitions that ask for other packages, and takes one where only
// what is no matter of apt has changed.
func TestLockFits(t *testing.T) {
	base := `[[layer]]
name = "debian"
packages = ["x"]
`
	more := base + `[[layer]]
name = "more"
packages = ["y"]
`
	w := newWorld(t, debtest.Package{Name: "x"})
	locked := func(text string) []layers.LockedLayer {
		d, err := w.definition(text)
		if err != nil {
			t.Fatal(err)
		}
		return d.LockedLayers()
	}
	for name, c := range map[string]struct{ locked, text, want string }{
		"the same":            {base, base + "[rules]\ndpkg = \"whole\"\n", ""},
		"another name":        {base, strings.Replace(base, `"x"`, `"x", "z"`, 1), "the layer debian asks for other packages"},
		"another layer":       {base, strings.Replace(base, `"debian"`, `"base"`, 1), "it does not have the layer base"},
		"one layer more":      {base, more, "it does not have the layer more"},
		"one layer less":      {more, base, "does not have its layer more"},
		"recommends":          {base, base + "[apt]\nrecommends = true\nsources = [\"deb u s c\"]\n", "asks for other packages"},
		"of another kind":     {base, base + "[apk]\nrepositories = [\"http://x\"]\nkeys = \"k\"\n", "asks for other packages"},
		"for another machine": {base + "[apk]\nrepositories = [\"http://x\"]\nkeys = \"k\"\n", base + "[apk]\nrepositories = [\"http://x\"]\nkeys = \"k\"\narchitecture = \"x86\"\n", "asks for other packages"},
		"a layer before it":   {more, strings.Replace(more, `"x"`, `"z"`, 1), "the layer debian asks"},
	} {
		requests := locked(c.locked)
		d, err := w.definition(c.text)
		if err != nil {
			t.Fatal(err)
		}
		w.lock.Layers = requests
		made, err := layers.Compose(t.Context(), d, w.options())
		if err == nil {
			err = made.Close()
		}
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, layers.ErrLock) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestChanges(t *testing.T) {
	lock := func(lines ...string) *layers.Lock {
		for i := range lines {
			lines[i] += " amd64 5 " + sum + " u"
		}
		l, err := layers.ReadLock(strings.NewReader(lockText(lines...)))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	got := lock("d a 1", "d b 2", "d d 1").Changes(lock("d a 1", "d b 1", "d c 1"))
	want := []layers.LockChange{{"d", "b", "1", "2"}, {"d", "c", "1", ""}, {"d", "d", "", "1"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("changes %v, want %v", got, want)
	}
}

func FuzzReadLock(f *testing.F) {
	f.Add(lockText("debian sha256:"+sum, "box sha256:"+sum+" r/box:1"))
	f.Add(lockText("debian a 1 amd64 5 " + sum + " u"))
	f.Fuzz(func(t *testing.T, text string) {
		l, err := layers.ReadLock(strings.NewReader(text))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if _, err := l.WriteTo(&b); err != nil || b.String() != text && b.String() != text+"\n" {
			t.Errorf("read %q, written %q", text, b.String())
		}
	})
}

func TestDefinition(t *testing.T) {
	for name, text := range map[string]string{
		"no layer":              "time = 1\n",
		"no time":               "[[layer]]\nname = \"a\"\nfolder = \"x\"\n",
		"no name":               "time = 1\n[[layer]]\nfolder = \"x\"\n",
		"two kinds":             "time = 1\n[[layer]]\nname = \"a\"\nfolder = \"x\"\nimage = \"y\"\n",
		"no kind":               "time = 1\n[[layer]]\nname = \"a\"\n",
		"same name":             "time = 1\n[[layer]]\nname = \"a\"\nfolder = \"x\"\n[[layer]]\nname = \"a\"\nfolder = \"y\"\n",
		"no architecture":       "time = 1\n[[layer]]\nname = \"a\"\npackages = [\"x\"]\n",
		"owner":                 "time = 1\n[[layer]]\nname = \"a\"\nfolder = \"x\"\nowner = \"root\"\n",
		"unknown key":           "time = 1\nlayers = 1\n",
		"unknown rule":          "time = 1\n[rules]\nalternatives = \"some\"\n[[layer]]\nname = \"a\"\nfolder = \"x\"\n",
		"no toml":               "time",
		"user's number":         "time = 1\nuser = [{ name = \"x\" }]\n[[layer]]\nname = \"a\"\nfolder = \"x\"\n",
		"user's name":           "time = 1\nuser = [{ name = \"x:y\", uid = 1 }]\n[[layer]]\nname = \"a\"\nfolder = \"x\"\n",
		"user's home":           "time = 1\nuser = [{ name = \"x\", uid = 1, home = \"/:0\" }]\n[[layer]]\nname = \"a\"\nfolder = \"x\"\n",
		"includes itself":       "include = [\"image.toml\"]\n",
		"package's name":        "time = 1\n[[layer]]\nname = \"a\"\nfolder = \"x\"\n[[package]]\nname = \"\"\n",
		"program":               "time = 1\n[[layer]]\nname = \"a\"\nfolder = \"x\"\n[deltaup]\nroot = \"root.json\"\n",
		"exclude":               "time = 1\n[[layer]]\nname = \"a\"\nfolder = \"x\"\nexclude = [\"[\"]\n",
		"remove":                "time = 1\n[[layer]]\nname = \"a\"\nfolder = \"x\"\n[[file]]\npath = \"/[\"\nremove = true\n",
		"two kinds of packages": "time = 1\narchitecture = \"amd64\"\n[apt]\nsources = [\"deb u s c\"]\n[apk]\nrepositories = [\"http://x\"]\nkeys = \"k\"\n[[layer]]\nname = \"a\"\nfolder = \"x\"\n",
		"no keys":               "time = 1\narchitecture = \"amd64\"\n[apk]\nrepositories = [\"http://x\"]\n[[layer]]\nname = \"a\"\nfolder = \"x\"\n",
		"no machine of Alpine":  "time = 1\narchitecture = \"m68k\"\n[apk]\nrepositories = [\"http://x\"]\nkeys = \"k\"\n[[layer]]\nname = \"a\"\nfolder = \"x\"\n",
		"two names":             "time = 1\narchitecture = \"amd64\"\n[apk]\nrepositories = [\"http://x\"]\nkeys = \"k\"\n[[layer]]\nname = \"a\"\npackages = [\"x y\"]\n",
		"time is too late":      "time = 4294967296\n[[layer]]\nname = \"a\"\nfolder = \"x\"\n",
	} {
		path := filepath.Join(t.TempDir(), "image.toml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := layers.ReadDefinition(path); !errors.Is(err, layers.ErrDefinition) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestIncludes joins definitions: what one does not say stays as the included one says.
func TestIncludes(t *testing.T) {
	w := newWorld(t)
	w.write("base.toml", `[apt]
sources = ["deb u s c"]
keyring = "keys.gpg"
[deltaup]
program = "deltaup"
config = "one.toml"
`)
	d, err := w.definition(`include = ["base.toml"]
[[layer]]
name = "a"
folder = "x"
[apt]
recommends = true
vendor = "ubuntu"
[deltaup]
config = "two.toml"
`)
	if err != nil {
		t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(w.dir, name) }
	if want := (layers.Apt{
		Sources: []string{"deb u s c"}, Keyring: path("keys.gpg"), Vendor: "ubuntu", Recommends: true,
	}); !reflect.DeepEqual(d.Apt, want) {
		t.Errorf("apt: %+v, want %+v", d.Apt, want)
	}
	if d.Deltaup.Program != path("deltaup") || d.Deltaup.Config != path("two.toml") {
		t.Errorf("deltaup: %+v", d.Deltaup)
	}
	want := []string{path("base.toml"), path("image.toml"), path("keys.gpg"), path("deltaup"), path("two.toml"), path("x")}
	if got := d.Inputs(); !reflect.DeepEqual(got, want) {
		t.Errorf("inputs %q, want %q", got, want)
	}
	d, err = w.definition(`include = ["base.toml"]
[[layer]]
name = "a"
folder = "x"
[apt]
sources = ["deb v s c"]
`)
	if err != nil || d.Apt.Keyring != "" {
		t.Errorf("the keys of other sources: %+v, %v", d.Apt, err)
	}
}

// TestRepositories takes the lines of apk-repositories(5) that name one, and refuses others.
func TestRepositories(t *testing.T) {
	w := newWorld(t)
	read := func(lines string) ([]layers.ApkRepository, error) {
		d, err := w.definition("[apk]\nkeys = \"keys\"\nrepositories = [" + lines + "]\n[[layer]]\nname = \"a\"\npackages = [\"x\"]\n")
		if err != nil {
			return nil, err
		}
		return d.Repositories()
	}
	index := "/x86_64/APKINDEX.tar.gz"
	for lines, want := range map[string][]layers.ApkRepository{
		`"https://x/main"`:                 {{Index: "https://x/main" + index, Base: "https://x/main"}},
		`"https://x/main/", "@e http://y"`: {{Index: "https://x/main" + index, Base: "https://x/main"}, {Tag: "@e", Index: "http://y" + index, Base: "http://y"}},
		`"v2 @e  http://y main other"`:     {{Tag: "@e", Index: "http://y/main" + index, Base: "http://y/main"}, {Tag: "@e", Index: "http://y/other" + index, Base: "http://y/other"}},
		`"v3 http://y"`:                    {{Index: "http://y/x86_64/Packages.adb", Base: "http://y"}},
		`"http://y/a/i.adb"`:               {{Index: "http://y/a/i.adb", Base: "http://y/a", Alone: true}},
		`"ndx @e http://y/a/index"`:        {{Tag: "@e", Index: "http://y/a/index", Base: "http://y/a", Alone: true}},
		`"/srv/a b"`:                       {{Index: "file:///srv/a/b" + index, Base: "file:///srv/a/b"}},
		`"/srv/a+b", "file:///srv/c"`:      {{Index: "file:///srv/a+b" + index, Base: "file:///srv/a+b"}, {Index: "file:///srv/c" + index, Base: "file:///srv/c"}},
		`""`:                               nil,
		`"@e"`:                             nil,
		`"@ http://x"`:                     nil,
		`"v4 http://x"`:                    nil,
		`"srv"`:                            nil,
		`"http://"`:                        nil,
		`"ftp://x"`:                        nil,
		`"file://host/x"`:                  nil,
		`"file:x"`:                         nil,
		`"http://x/?a"`:                    nil,
		`"http://x/#a"`:                    nil,
		`"http://x/${arch}"`:               nil,
		`"http://x\u007f"`:                 nil,
		`"set a=b"`:                        nil,
		`"ndx http://x/a.adb main"`:        nil,
	} {
		got, err := read(lines)
		if !reflect.DeepEqual(got, want) || (err == nil) != (want != nil) || err != nil && !errors.Is(err, layers.ErrDefinition) {
			t.Errorf("%s: %+v, %v", lines, got, err)
		}
	}
}

// TestIncludeApk joins repositories: they and their keys belong together.
func TestIncludeApk(t *testing.T) {
	w := newWorld(t)
	w.write("base.toml", "[apk]\nrepositories = [\"http://x\"]\nkeys = \"keys\"\nvendor = \"wolfi\"\n")
	rest := "[[layer]]\nname = \"a\"\nfolder = \"x\"\n[apk]\n"
	keys := filepath.Join(w.dir, "keys")
	for text, want := range map[string]layers.Apk{
		"architecture = \"armhf\"\n":                         {Repositories: []string{"http://x"}, Keys: keys, Vendor: "wolfi", Architecture: "armhf"},
		"repositories = [\"http://y\"]\nkeys = \"others\"\n": {Repositories: []string{"http://y"}, Keys: filepath.Join(w.dir, "others"), Vendor: "wolfi"},
	} {
		d, err := w.definition("include = [\"base.toml\"]\n" + rest + text)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(d.Apk, want) || !d.Alpine() || !strings.Contains(strings.Join(d.Inputs(), " "), want.Keys) {
			t.Errorf("%s: %+v, want %+v; inputs %q", text, d.Apk, want, d.Inputs())
		}
	}
	if _, err := w.definition("include = [\"base.toml\"]\n" + rest + "repositories = [\"http://y\"]\n"); !errors.Is(err, layers.ErrDefinition) || !strings.Contains(err.Error(), "keys is missing") {
		t.Errorf("the keys of other repositories: %v", err)
	}
}

// TestWhere demands that messages name the file, the line and the key, and who includes whom.
func TestWhere(t *testing.T) {
	w := newWorld(t)
	for text, want := range map[string]string{
		"\n[[layer]]\nfodler = \"x\"\n":    "image.toml:6: definition: layer.fodler: unknown key",
		"time = \"x\"":                     "image.toml:4: definition: time: key time is already defined",
		"include = [\"a.toml\"]\n":         "image.toml: definition: it includes itself: ",
		"include = [\"wrong.toml\"]\n":     "wrong.toml:2: definition: time: does not take a TOML string",
		"include = [\"nosuch.toml\"]\n":    "image.toml: include: stat ",
		"include = [\"several.toml\"]\n\n": "image.toml: definition: it includes more than 64 others",
	} {
		w.write("a.toml", "include = [\"image.toml\"]\n")
		w.write("wrong.toml", "\ntime = \"x\"\n")
		w.write("none.toml", "")
		w.write("several.toml", "include = ["+strings.Repeat("\"none.toml\",", 100)+"]")
		if _, err := w.definition(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzReadDefinition(f *testing.F) {
	f.Add("time = 1\n[[layer]]\nname = \"a\"\nfolder = \"x\"\n[[package]]\nname = \"p\"\nfile = [{ path = \"/x\", text = \"\" }]\n")
	path := filepath.Join(f.TempDir(), "image.toml")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "include") {
			return // other files
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if d, err := layers.ReadDefinition(path); err == nil && (d.Time == 0 || len(d.Layers) == 0) {
			t.Errorf("accepted: %+v", d)
		}
	})
}
