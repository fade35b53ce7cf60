package layers_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"deltaup/internal/test/debtest"
	"deltaup/internal/test/oracle"
	"deltaup/internal/test/treetest"
	"deltaup/mkimage/layers"
	"deltaup/mkimage/layers/apk"
	"deltaup/mkimage/layers/oci"
	"deltaup/mkimage/tree"
)

// world is a definition with packages, in a folder.
type world struct {
	testing.TB
	dir      string
	packages []debtest.Package
	lock     layers.Lock
}

func newWorld(t testing.TB, packages ...debtest.Package) *world {
	w := &world{TB: t, dir: t.TempDir(), packages: packages}
	for _, p := range packages {
		w.add("debian", p)
	}
	return w
}

// add puts a package of a layer into the lock and the folder.
func (w *world) add(layer string, p debtest.Package) {
	b := p.Bytes(w)
	sum := sha256.Sum256(b)
	version := p.Version
	if version == "" {
		version = "1"
	}
	l := layers.Locked{
		Layer: layer, Name: p.Name, Version: version, Architecture: "amd64", Size: int64(len(b)),
		SHA256: hex.EncodeToString(sum[:]), URL: "http://127.0.0.1/" + p.Name + ".deb",
	}
	w.write(l.SHA256+".deb", string(b))
	w.lock.Packages = append(w.lock.Packages, l)
	if err := w.lock.Sort(); err != nil {
		w.Fatal(err)
	}
}

func (w *world) write(name, text string) {
	w.Helper()
	treetest.Write(w, filepath.Join(w.dir, name), text)
}

func (w *world) options() layers.Options {
	c := &layers.Downloads{Dir: w.dir}
	return layers.Options{Lock: &w.lock, Cache: filepath.Join(w.dir, "containers"), Package: c.Path}
}

// head is what all definitions of these tests begin with.
const head = `
architecture = "amd64"
time = 1700000000
`

const debian = `
[[layer]]
name = "debian"
packages = ["x"]
`

func (w *world) definition(text string) (*layers.Definition, error) {
	if rest, ok := strings.CutPrefix(text, debian); ok && !strings.Contains(rest, "[[layer]]") {
		text = rest + debian // what is no table comes before all tables
	}
	w.write("image.toml", head+text)
	d, err := layers.ReadDefinition(filepath.Join(w.dir, "image.toml"))
	if err == nil {
		w.lock.Layers = d.LockedLayers()
	}
	return d, err
}

func (w *world) compose(text string) (tree.Tree, error) {
	d, err := w.definition(text)
	if err != nil {
		return nil, err
	}
	return layers.Compose(w.Context(), d, w.options())
}

// composed gives the lines of a tree: path, mode, owner, and target or content.
func (w *world) composed(text string) map[string]string {
	w.Helper()
	t, err := w.compose(text)
	if err != nil {
		w.Fatal(err)
	}
	defer t.Close()
	lines := map[string]string{}
	for i, e := range t.Entries() {
		line := fmt.Sprintf("%04o %d:%d ", e.Mode, e.UID, e.GID)
		switch {
		case e.Link != "":
			line += "= " + e.Link
		case e.Type == tree.Symlink:
			line = "-> " + e.Target
		case e.Type == tree.Regular:
			line += read(w, t, i)
		default:
			line += "/"
		}
		lines[e.Path] = line
	}
	return lines
}

func read(t testing.TB, of tree.Tree, i int) string {
	t.Helper()
	r, err := of.Open(i)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wantPaths demands lines of a tree. "" demands that there is no such path.
func wantPaths(t testing.TB, got, want map[string]string) {
	t.Helper()
	for path, line := range want {
		if got[path] != line {
			t.Errorf("/%s: %q, want %q", path, got[path], line)
		}
	}
}

func TestMergedUsr(t *testing.T) {
	w := newWorld(t,
		debtest.Package{Name: "old", Files: []debtest.File{
			{Name: "bin/sh", Content: "sh", Mode: 0o755}, {Name: "lib/x86/libc.so", Content: "c"},
		}},
		debtest.Package{Name: "new", Files: []debtest.File{{Name: "usr/bin/new", Content: "new", Mode: 0o755}}})
	wantPaths(t, w.composed(debian), map[string]string{
		"bin": "-> usr/bin", "lib": "-> usr/lib", "usr/bin/sh": "0755 0:0 sh", "usr/bin/new": "0755 0:0 new",
		"usr/lib/x86/libc.so": "0644 0:0 c", "sbin": "", "lib32": "",
	})
	wantPaths(t, w.composed("\n"+debian+"exclude = [\"usr/*\"]\n"), map[string]string{"usr/bin/sh": "0755 0:0 sh", "usr/bin/new": ""})
	wantPaths(t, w.composed(debian+"[rules]\nmerged-usr = false\n"), map[string]string{
		"bin": "0755 0:0 /", "bin/sh": "0755 0:0 sh",
	})
}

func TestConflicts(t *testing.T) {
	one := debtest.Package{Name: "one", Files: []debtest.File{{Name: "etc/x", Content: "1"}}}
	for name, c := range map[string]struct {
		other debtest.Package
		why   string // "": no conflict
	}{
		"the same file":       {debtest.Package{Files: []debtest.File{{Name: "etc/x", Content: "1"}}}, ""},
		"other content":       {debtest.Package{Files: []debtest.File{{Name: "etc/x", Content: "2"}}}, "/etc/x"},
		"other mode":          {debtest.Package{Files: []debtest.File{{Name: "etc/x", Content: "1", Mode: 0o600}}}, "/etc/x"},
		"other type":          {debtest.Package{Files: []debtest.File{{Name: "etc/x", Link: "y"}}}, "/etc/x"},
		"folder's mode":       {debtest.Package{Files: []debtest.File{{Name: "etc/", Mode: 0o700}}}, "the folder is 0700"},
		"folder's owner":      {debtest.Package{Files: []debtest.File{{Name: "etc/", UID: 5}}}, "the folder is 0755 5:5"},
		"a file for a folder": {debtest.Package{Files: []debtest.File{{Name: "etc", Content: "x"}}}, "/etc"},
	} {
		c.other.Name = "other"
		w := newWorld(t, one, c.other)
		_, err := w.compose(debian)
		if c.why == "" && err != nil || c.why != "" &&
			(!errors.Is(err, layers.ErrConflict) || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPriority(t *testing.T) {
	w := newWorld(t, debtest.Package{Name: "one", Files: []debtest.File{{Name: "etc/x", Content: "1"}, {Name: "etc/d/y", Content: "y"}}})
	w.write("site/etc/x", "site")
	w.write("site/etc/d", "a file now")
	site := debian + "[[layer]]\nname = \"site\"\nfolder = \"site\"\nowner = \"0:0\"\n"
	if _, err := w.compose(site); !errors.Is(err, layers.ErrConflict) {
		t.Errorf("without a priority: %v", err)
	}
	wantPaths(t, w.composed(site+"priority = 1\n"), map[string]string{
		"etc/x": "0644 0:0 site", "etc/d": "0644 0:0 a file now", "etc/d/y": "",
	})
}

// TestReplace takes the one that the definition names, whatever the order and the priorities.
func TestReplace(t *testing.T) {
	w := newWorld(t,
		debtest.Package{Name: "one", Files: []debtest.File{{Name: "etc/x", Content: "1"}}},
		debtest.Package{Name: "two", Files: []debtest.File{{Name: "etc/x", Content: "2"}}})
	for _, from := range []string{"one", "two"} {
		got := w.composed(debian + "replace = [{ path = \"/etc/x\", from = \"" + from + "\" }]\n")
		wantPaths(t, got, map[string]string{"etc/x": "0644 0:0 " + map[string]string{"one": "1", "two": "2"}[from]})
	}
	if _, err := w.compose(debian + "replace = [{ path = \"/etc/x\", from = \"three\" }]\n"); !errors.Is(err, layers.ErrConflict) {
		t.Errorf("from nobody: %v", err)
	}
}

// TestDpkg demands that the real dpkg-query reads the list of packages.
func TestDpkg(t *testing.T) {
	oracle.Need(t, "dpkg-query")
	w := newWorld(t, debtest.Package{Name: "one", Version: "1.2-3", Control: map[string]string{"conffiles": "/etc/x\n"}, Files: []debtest.File{{Name: "etc/x", Content: "1"}}})
	made, err := w.compose(debian + "[rules]\ndpkg = \"whole\"\n")
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	dir := filepath.Join(t.TempDir(), "root")
	if err := writeTree(dir, made); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--show"}, "one\t1.2-3\n"},
		{[]string{"--listfiles", "one"}, "/.\n/etc\n/etc/x\n"},
	} {
		b, err := exec.Command("dpkg-query", append([]string{"--admindir", filepath.Join(dir, "var/lib/dpkg")}, c.args...)...).CombinedOutput()
		if err != nil || string(b) != c.want {
			t.Errorf("%q: %q, want %q (%v)", c.args, b, c.want, err)
		}
	}
	wantPaths(t, w.composed(debian+"[rules]\ndpkg = \"status.d\"\n"), map[string]string{
		"var/lib/dpkg/status.d/one": "0644 0:0 Package: one\nVersion: 1.2-3\nArchitecture: amd64\nMaintainer: nobody\nDescription: a test\n with two lines\n",
	})
}

// TestInputs composes from a folder, an archive and an image-like subfolder.
func TestInputs(t *testing.T) {
	w := newWorld(t)
	w.write("folder/a", "folder")
	var archive bytes.Buffer
	out := tar.NewWriter(&archive)
	for _, name := range []string{"root/b", "root/left-out", "other/c"} {
		if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: 1, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	w.write("archive.tar", archive.String())
	w.write("base.toml", "[[layer]]\nname = \"folder\"\nfolder = \"folder\"\nowner = \"7:8\"\n")
	wantPaths(t, w.composed("include = [\"base.toml\"]\n[[layer]]\nname = \"archive\"\narchive = \"archive.tar\"\nsubdir = \"root\"\nexclude = [\"left-out\"]\npriority = 1"), map[string]string{
		"a": "0644 7:8 folder", "b": "0644 0:0 x", "left-out": "", "c": "", "other": "",
	})
}

func TestForbidden(t *testing.T) {
	for name, c := range map[string]struct {
		file debtest.File
		want string
	}{
		"key":        {debtest.File{Name: "etc/ssh/ssh_host_rsa_key", Content: "secret"}, "the same key"},
		"machine-id": {debtest.File{Name: "etc/machine-id", Content: "0123"}, "the same id"},
		"device":     {debtest.File{Name: "dev/sda", Type: tar.TypeBlock}, "a device"},
	} {
		w := newWorld(t, debtest.Package{Name: "p", Files: []debtest.File{c.file}})
		_, err := w.compose(debian)
		if !errors.Is(err, layers.ErrForbidden) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := newWorld(t, debtest.Package{Name: "p", Files: []debtest.File{
		{Name: "etc/machine-id", Content: "uninitialized\n"}, {Name: "etc/ssh/ssh_host_rsa_key.pub"},
	}})
	if _, err := w.compose(debian); err != nil {
		t.Error(err)
	}
}

// TestSame demands the same archive whatever the number of processors and the order of the lock's
// lines in the definition.
func TestSame(t *testing.T) {
	var packages []debtest.Package
	for i := range 20 {
		packages = append(packages, debtest.Package{Name: fmt.Sprintf("p%d", i), Files: []debtest.File{
			{Name: "usr/share/common", Content: "the same"}, {Name: fmt.Sprintf("usr/bin/p%d", i), Content: fmt.Sprint(i)},
			{Name: fmt.Sprintf("usr/bin/again%d", i), Hard: fmt.Sprintf("usr/bin/p%d", i)},
		}})
	}
	w := newWorld(t, packages...)
	var first []byte
	for _, n := range []int{1, 2, 8} {
		before := runtime.GOMAXPROCS(n)
		tree, err := w.compose(debian)
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := errors.Join(layers.WriteTar(t.Context(), &b, tree), tree.Close()); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b.Bytes()
		} else if !bytes.Equal(first, b.Bytes()) {
			t.Errorf("another archive with %d processors", n)
		}
	}
}

// TestCache fetches what is missing or damaged, and refuses what is not what was locked.
func TestCache(t *testing.T) {
	w := newWorld(t, debtest.Package{Name: "p", Files: []debtest.File{{Name: "a", Content: "a"}}})
	p := w.lock.Packages[0]
	good, err := os.ReadFile(filepath.Join(w.dir, p.SHA256+".deb"))
	if err != nil {
		t.Fatal(err)
	}
	send, asked := good, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch {
		case r.URL.Path == "/missing":
			w.WriteHeader(http.StatusNotFound)
			return
		case r.URL.Path == "/secret":
			w.WriteHeader(http.StatusUnauthorized)
			return
		case r.URL.Path == "/busy" && asked == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(send) // the client tells
	}))
	defer server.Close()
	for name, c := range map[string]struct {
		send []byte
		path string
		err  error
	}{
		"good":    {good, "/p.deb", nil},
		"longer":  {append(good[:len(good):len(good)], 0), "/p.deb", layers.ErrLock},
		"shorter": {good[:len(good)-1], "/p.deb", layers.ErrLock},
		"other":   {bytes.Replace(good, []byte("debian-binary"), []byte("debian-binarx"), 1), "/p.deb", layers.ErrLock},
	} {
		send, asked = c.send, 0
		cache := &layers.Downloads{Dir: t.TempDir()}
		p.URL = server.URL + c.path
		path, err := cache.Path(t.Context(), p)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
		left, globErr := filepath.Glob(filepath.Join(cache.Dir, "*"))
		if globErr != nil || c.err != nil && len(left) > 0 {
			t.Errorf("%s: left %q (%v)", name, left, globErr)
		}
		if c.err != nil {
			continue
		}
		if _, err := cache.Path(t.Context(), p); err != nil || asked != 1 {
			t.Errorf("%s: asked %d times, %v", name, asked, err)
		}
		if err := os.WriteFile(path, []byte("damaged"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := cache.Path(t.Context(), p); err != nil || asked != 2 {
			t.Errorf("%s, then damaged: asked %d times, %v", name, asked, err)
		}
		if mended, err := os.ReadFile(path); err != nil || !bytes.Equal(mended, good) {
			t.Errorf("%s, then damaged: it was not mended (%v)", name, err)
		}
	}
	send, asked, p.URL = good, 0, server.URL+"/busy"
	if _, err := (&layers.Downloads{Dir: t.TempDir()}).Path(t.Context(), p); err != nil || asked != 2 {
		t.Errorf("a server that is busy once: asked %d times, %v", asked, err)
	}
	packed := filepath.Join(t.TempDir(), "a package.deb")
	if err := os.WriteFile(packed, good, 0o644); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]error{
		"file:" + strings.ReplaceAll(packed, " ", "%20"):   nil,
		"file://" + strings.ReplaceAll(packed, " ", "%20"): nil,
		"file:/nowhere/p.deb":                              os.ErrNotExist,
		server.URL + "/secret":                             layers.ErrUnreachable,
	} {
		p.URL = url
		if _, err := (&layers.Downloads{Dir: t.TempDir()}).Path(t.Context(), p); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", url, err, want)
		}
	}
	p.URL = server.URL + "/missing"
	cache := &layers.Downloads{Dir: t.TempDir()}
	if _, err := cache.Path(t.Context(), p); !errors.Is(err, layers.ErrGone) || !strings.Contains(err.Error(), "404") {
		t.Errorf("missing: %v", err)
	}
}

func TestWrongLock(t *testing.T) {
	w := newWorld(t, debtest.Package{Name: "p"})
	w.lock.Packages[0].Version = "2"
	if _, err := w.compose(debian); !errors.Is(err, layers.ErrLock) {
		t.Errorf("a package of another version: %v", err)
	}
	d, err := w.definition(debian)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := layers.Compose(t.Context(), d, layers.Options{}); !errors.Is(err, layers.ErrLock) {
		t.Errorf("no lock: %v", err)
	}
}

// TestPackageFiles takes packages in files, without a lock: of Debian, and of both generations of
// Alpine's, whose scripts have to be accounted for as well.
func TestPackageFiles(t *testing.T) {
	w := newWorld(t)
	w.write("p.deb", string(debtest.Package{Name: "p", Files: []debtest.File{{Name: "bin/p", Content: "p"}}}.Bytes(t)))
	layer := "[[layer]]\nname = \"files\"\nfiles = [\"p.deb\"]\n"
	wantPaths(t, w.composed(layer), map[string]string{"usr/bin/p": "0644 0:0 p"})
	for _, name := range []string{"toy-2.apk", "toy-3-none.apk"} {
		b, err := os.ReadFile(filepath.Join("apk", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		w.write(name, string(b))
		_, err = w.compose("user = [{ name = \"daemon\", uid = 2 }]\n[[layer]]\nname = \"files\"\nfiles = [\"" + name + "\"]\n")
		if err != nil && !errors.Is(err, layers.ErrHooks) {
			t.Errorf("%s: %v", name, err)
		}
		w.write("keys/none.txt", "")
		if _, err := w.compose("[apk]\nkeys = \"keys\"\n[[layer]]\nname = \"files\"\nfiles = [\"" + name + "\"]\n"); !errors.Is(err, apk.ErrSignature) {
			t.Errorf("%s without its key: %v", name, err)
		}
	}
}

func rootOf(t *testing.T, image v1.Image) v1.RootFS {
	t.Helper()
	c, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return c.RootFS
}

// TestContainer composes upon an image of a registry, which the lock names by its digest.
func TestContainer(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	reference := strings.TrimPrefix(server.URL, "http://") + "/base:1"
	push := func(content string) {
		t.Helper()
		image, err := crane.Image(map[string][]byte{"etc/of-base": []byte(content)})
		if err != nil {
			t.Fatal(err)
		}
		image, err = mutate.ConfigFile(image, &v1.ConfigFile{Architecture: "amd64", OS: "linux", RootFS: rootOf(t, image)})
		if err != nil {
			t.Fatal(err)
		}
		tag, err := name.NewTag(reference)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(tag, image); err != nil {
			t.Fatal(err)
		}
	}
	push("one")
	w := newWorld(t)
	text := "[[layer]]\nname = \"base\"\ncontainer = \"" + reference + "\"\n[rules]\nmerged-usr = false\n"
	if _, err := w.compose(text); !errors.Is(err, oci.ErrUnlocked) {
		t.Errorf("without a lock: %v", err)
	}
	d, err := w.definition(text)
	if err != nil {
		t.Fatal(err)
	}
	lock := &layers.Lock{}
	if err := d.LockContainers(t.Context(), lock, layers.Options{Cache: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := lock.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if lock, err = layers.ReadLock(&b); err != nil {
		t.Fatal(err)
	}
	push("two") // the tag moves on; the lock does not
	options := layers.Options{Lock: lock, Cache: t.TempDir()}
	for range 2 {
		made, err := layers.Compose(t.Context(), d, options)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for i, e := range made.Entries() {
			if e.Path == "etc/of-base" {
				found = read(t, made, i) == "one"
			}
		}
		if err := made.Close(); err != nil || !found {
			t.Errorf("the locked file is not there, %v", err)
		}
		server.Close() // the second time all comes from the cache
	}
}
