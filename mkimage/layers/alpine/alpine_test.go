package alpine_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"deltaup/mkimage/layers"
	"deltaup/mkimage/layers/alpine"
)

// site serves repositories in a folder, and notes what is asked for.
type site struct {
	testing.TB
	dir   string // with the definition, the cache and the program apk
	url   string
	mu    sync.Mutex
	asked []string
}

func newSite(t testing.TB, served string) *site {
	s := &site{TB: t, dir: t.TempDir()}
	files := http.FileServer(http.Dir(served))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.URL.Path)
		s.mu.Unlock()
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// requests gives what was asked for since the last call, in order of names.
func (s *site) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	slices.Sort(asked)
	return asked
}

// play puts a program in apk's place that prints what the real one would: by its version, and by
// the words of a world. It refuses any other, and repositories that it would not find.
func (s *site) play(version string, worlds map[string]string) {
	s.Helper()
	var script strings.Builder
	fmt.Fprintf(&script, "#!/bin/sh\n[ \"$*\" != --version ] || { echo '%s'; exit; }\n", version)
	script.WriteString("case \"$*\" in *'--no-network'*'add --simulate') ;; *) exit 7 ;; esac\n")
	script.WriteString("[ ! -s \"$2/lib/apk/db/installed\" ] || exit 8\n")
	script.WriteString("while read -r tag dir more; do case ${dir:=$tag} in *'$'*) exit 9 ;; esac\n" +
		"[ -z \"$more\" ] && [ -f \"$dir/x86_64/APKINDEX.tar.gz\" ] || exit 9\n" +
		"done < \"$2/etc/apk/repositories\"\n")
	script.WriteString("world=\nwhile read -r word; do world=\"$world $word\"; done < \"$2/etc/apk/world\"\n")
	script.WriteString("case \"$world \" in\n")
	for world, out := range worlds {
		fmt.Fprintf(&script, "' %s ') cat <<'END'\n%s\nEND\n;;\n", world, out)
	}
	script.WriteString("*) echo \"ERROR: unable to select packages: $world\" >&2; exit 2 ;;\nesac\n")
	s.program(script.String())
}

// program puts a script in apk's place.
func (s *site) program(script string) {
	s.Helper()
	bin := filepath.Join(s.dir, "bin")
	err := errors.Join(os.MkdirAll(bin, 0o755), os.WriteFile(filepath.Join(bin, "apk"), []byte(script), 0o755))
	if err != nil {
		s.Fatal(err)
	}
	s.TB.(*testing.T).Setenv("PATH", bin+":/usr/bin:/bin")
}

func (s *site) definition(keys, text string) *layers.Definition {
	s.Helper()
	path := filepath.Join(s.dir, "image.toml")
	text = fmt.Sprintf("architecture = \"amd64\"\ntime = 1700000000\n[apk]\nkeys = %q\n%s", keys,
		strings.ReplaceAll(text, "URL", s.url))
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
	d, err := layers.ReadDefinition(path)
	if err != nil {
		s.Fatal(err)
	}
	return d
}

func (s *site) cache() *layers.Downloads {
	return &layers.Downloads{Dir: filepath.Join(s.dir, "cache")}
}

// lockText gives a lock as its file.
func lockText(t testing.TB, l *layers.Lock) string {
	t.Helper()
	var b strings.Builder
	if _, err := l.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const versions = "apk-tools 3.0.6, compiled for x86_64."

// worlds are some for the repositories in testdata, and what apk 2.14.10 and apk 3.0.6 print of
// them, but for the size in the last line.
var worlds = map[string]string{
	"app": `(1/3) Installing lib (1.3-r0)
(2/3) Installing libc (2-r0)
(3/3) Installing app (1.0-r0)
OK: 25 B in 3 packages`,
	"libc": `(1/1) Installing libc (2-r0)
OK: 7 B in 1 packages`,
	"libc libc=2-r0 app old": `(1/4) Installing lib (1.2-r1)
(2/4) Installing libc (2-r0)
(3/4) Installing app (1.0-r0)
(4/4) Installing old (1-r0)
OK: 32 B in 4 packages`,
	"libc libc=2-r0 app !old": `(1/3) Installing lib (1.3-r0)
(2/3) Installing libc (2-r0)
(3/3) Installing app (1.0-r0)
OK: 25 B in 3 packages`,
	"app@old": `(1/3) Installing lib@old (1.3-r0)
(2/3) Installing libc@old (2-r0)
(3/3) Installing app@old (1.0-r0)
OK: 25 B in 3 packages`,
}

const twoLayers = `
[[layer]]
name = "base"
packages = ["libc"]
[[layer]]
name = "apps"
packages = ["app", "old"]
`

// repositories are ways to name those in testdata: lines of a definition, and where the packages
// lie.
var repositories = map[string]struct {
	lines, packages string
	generation      int
}{
	"second":              {`"URL/2"`, "URL/2/x86_64/", 2},
	"second, alone":       {`"URL/2/x86_64/APKINDEX.tar.gz"`, "URL/2/x86_64/", 2},
	"third":               {`"v3 URL/3"`, "URL/3/x86_64/", 3},
	"third, a component":  {`"v3 URL 3"`, "URL/3/x86_64/", 3},
	"third, alone":        {`"ndx URL/3/x86_64/Packages.adb"`, "URL/3/x86_64/", 3},
	"of this machine":     {`"DIR/2"`, "file://DIR/2/x86_64/", 2},
	"an address of files": {`"file://DIR/2"`, "file://DIR/2/x86_64/", 2},
}

// wantLock gives the lock that two layers have with the packages in testdata.
func wantLock(t *testing.T, d *layers.Definition, generation int, at string) string {
	t.Helper()
	text := "deltaup-lock 1\n"
	for _, name := range []string{"apps", "base"} {
		for _, l := range d.LockedLayers() {
			if l.Layer == name {
				text += l.Layer + " " + l.Digest + "\n"
			}
		}
	}
	for _, p := range []struct{ layer, name, version string }{
		{"apps", "app", "1.0-r0"}, {"apps", "lib", "1.2-r1"}, {"apps", "old", "1-r0"}, {"base", "libc", "2-r0"},
	} {
		file := p.name + "-" + p.version + ".apk"
		b, err := os.ReadFile(filepath.Join("testdata", fmt.Sprint(generation), "x86_64", file))
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("%s %s %s x86_64 %d %x %s\n", p.layer, p.name, p.version, len(b), sha256.Sum256(b), at+file)
	}
	return text
}

// oddTempDir gives the folder for temporary files a name with characters that apk takes for its own.
func oddTempDir(t *testing.T) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a b $c #d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
}

// TestResolve locks packages of both generations, that nfpm and apk have made (testdata/make.sh),
// and composes them without apk: from the cache, and from the repository.
func TestResolve(t *testing.T) {
	oddTempDir(t)
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range repositories {
		s := newSite(t, testdata)
		s.play(versions, worlds)
		here := strings.NewReplacer("URL", s.url, "DIR", testdata)
		d := s.definition(filepath.Join(testdata, "keys"), here.Replace("repositories = ["+c.lines+"]"+twoLayers))
		lock, err := alpine.Resolve(t.Context(), d, &layers.Lock{}, s.cache())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := lockText(t, lock), wantLock(t, d, c.generation, here.Replace(c.packages)); got != want {
			t.Errorf("%s: got\n%swant\n%s", name, got, want)
		}
		t.Setenv("PATH", s.dir) // there is no apk
		s.requests()
		for _, cache := range []*layers.Downloads{s.cache(), {Dir: filepath.Join(s.dir, "other")}} {
			made, err := layers.Compose(t.Context(), d, layers.Options{Lock: lock, Package: cache.Path})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			var files []string
			for _, e := range made.Entries() {
				if strings.HasPrefix(e.Path, "usr/share/") {
					files = append(files, e.Path[len("usr/share/"):])
				}
			}
			if !slices.Equal(files, []string{"app", "lib", "libc", "old"}) {
				t.Errorf("%s: composed of %q", name, files)
			}
			if err := made.Close(); err != nil {
				t.Error(err)
			}
			if asked := len(s.requests()); strings.HasPrefix(c.packages, "URL") && asked != map[bool]int{true: 4}[strings.HasSuffix(cache.Dir, "other")] {
				t.Errorf("%s: %s asked for %d packages", name, cache.Dir, asked)
			}
		}
	}
}

// TestRealApk holds what the other tests play against an apk that is in PATH: the same locks.
// Debian has no package of apk.
func TestRealApk(t *testing.T) {
	out, err := exec.Command("apk", "--version").Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	oddTempDir(t)
	second, path := strings.HasPrefix(string(out), "apk-tools 2"), os.Getenv("PATH")
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	layer := "[[layer]]\nname = \"%s\"\npackages = [%s]\n"
	for name, c := range repositories {
		for _, text := range []string{
			twoLayers, fmt.Sprintf(layer, "one", `"app"`),
			fmt.Sprintf(layer, "one", `"libc"`) + fmt.Sprintf(layer, "two", `"app", "!old"`),
			fmt.Sprintf(layer, "tagged", `"app@old"`),
		} {
			s := newSite(t, testdata)
			lines := strings.NewReplacer("URL", s.url, "DIR", testdata).Replace(c.lines)
			if strings.Contains(text, "@old") {
				lines = strings.NewReplacer(`"ndx `, `"ndx @old `, `"v3 `, `"v3 @old `, `"`+s.url, `"@old `+s.url, `"file`, `"@old file`, `"/`, `"@old /`).Replace(lines)
			}
			d := s.definition(filepath.Join(testdata, "keys"), "repositories = ["+lines+"]\n"+text)
			s.play(versions, worlds)
			played, err := alpine.Resolve(t.Context(), d, &layers.Lock{}, s.cache())
			if err != nil {
				t.Fatalf("%s: %s: %v", name, text, err)
			}
			t.Setenv("PATH", path)
			lock, err := alpine.Resolve(t.Context(), d, &layers.Lock{}, s.cache())
			if second && c.generation == 3 {
				if !errors.Is(err, alpine.ErrApk) || !strings.Contains(err.Error(), "takes apk-tools 3, not apk-tools 2") {
					t.Errorf("%s: %v", name, err)
				}
			} else if err != nil || lockText(t, lock) != lockText(t, played) {
				t.Errorf("%s: %s: %v: got\n%+v\nwant\n%s", name, text, err, lock, lockText(t, played))
			}
		}
	}
	for asked, want := range map[string]string{
		`"nosuch"`: "nosuch (no such package)", `"app", "!lib"`: "breaks: world[!lib]", `"app@none"`: "tag",
	} {
		s := newSite(t, testdata)
		d := s.definition(filepath.Join(testdata, "keys"), "repositories = [\"URL/2\"]\n"+fmt.Sprintf(layer, "one", asked))
		if _, err := alpine.Resolve(t.Context(), d, &layers.Lock{}, s.cache()); !errors.Is(err, alpine.ErrApk) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", asked, err)
		}
	}
}
