package folder_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/durabletest"
	"deltaup/mirror"
	"deltaup/mirror/check"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
)

// TestLook names what lies in a folder by the files in it. A name that ends in / is a folder; =>
// leads a link.
func TestLook(t *testing.T) {
	pack := mirror.PackPath(chunkstore.Sum([]byte("pack")))
	pointer, err := mirror.Pointer{Channel: "stable", Version: "1", Release: mirror.Object{ID: chunkstore.Sum(nil), Size: 1}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what  string
		files map[string]string
		want  mirror.State
		wrong string // of the error, which wraps ErrNoMirror
	}{
		{what: "nothing", files: map[string]string{}, want: mirror.Empty},
		{what: "a file system's own folder", files: map[string]string{"lost+found/": ""}, want: mirror.Empty},
		{what: "a publisher's lock", files: map[string]string{".lock": ""}, want: mirror.Empty},
		{what: "what a publisher leaves that is cut off at once", files: map[string]string{".lock": "", "tmp/deltaup-0123.tmp": "x", "packs/ab/": "", "images/": ""}, want: mirror.Empty},
		{what: "a pack, and no release as yet", files: map[string]string{".lock": "", "tmp/": "", pack: "x"}, want: mirror.Unsigned},
		{what: "a copy in part, without a lock", files: map[string]string{pack: "x", "releases/": ""}, want: mirror.Unsigned},
		{what: "a pointer alone", files: map[string]string{"channels/stable.json": string(pointer)}, want: mirror.Unsigned},
		{what: "other files beside", files: map[string]string{pack: "x", "index.html": "x", ".htaccess": "x"}, want: mirror.Unsigned},
		{what: "a bundle alone", files: map[string]string{"metadata/1.stable.bundle": "x"}, want: mirror.Unsigned},
		{what: "signatures that were cut off", files: map[string]string{"metadata/1.targets.json": "x", ".lock": ""}, want: mirror.Unsigned},
		{what: "the first root", files: map[string]string{"metadata/1.root.json": "x"}, want: mirror.Signed},
		{what: "a copy without roots", files: map[string]string{"metadata/timestamp.json": "x", pack: "x"}, want: mirror.Signed},
		{what: "packs behind a link", files: map[string]string{"packs=>elsewhere": "", "elsewhere/" + pack[len("packs/"):]: "x"}, want: mirror.Unsigned},

		{what: "a home", files: map[string]string{".profile": "x", "images/cat.jpg": "x"}, wrong: `holds other things, such as ".profile"`},
		{what: "pictures", files: map[string]string{"images/cat.jpg": "x"}, wrong: `such as "images/cat.jpg"`},
		{what: "a source tree", files: map[string]string{"releases/1.json": `{"version": "1"}`, "patches/0001-x.patch": "x"}, wrong: `such as "releases/1.json"`},
		{what: "somebody's JSON", files: map[string]string{"channels/news.json": `{"format": 1}`}, wrong: `such as "channels/news.json"`},
		{what: "somebody's hashes", files: map[string]string{"packs/zz/" + strings.Repeat("z", 64) + ".pack": "x"}, wrong: `such as "packs/zz/`},
		{what: "a name that is another's", files: map[string]string{"packs/00/" + filepath.Base(pack): "x"}, wrong: `such as "packs/00/`},
		{what: "files in the place of folders", files: map[string]string{"packs": "x"}, wrong: `such as "packs"`},
		{what: "somebody's tmp", files: map[string]string{"tmp/letter.txt": "x"}, wrong: `such as "tmp"`},
		{what: "an Android tree", files: map[string]string{"metadata/notes.json": "x"}, wrong: `such as "metadata/notes.json"`},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range c.files {
				name, to, link := strings.Cut(name, "=>")
				path := filepath.Join(dir, name)
				if link {
					must(t, os.Symlink(to, path))
					continue
				}
				if strings.HasSuffix(name, "/") {
					must(t, os.MkdirAll(path, 0o755))
					continue
				}
				must(t, os.MkdirAll(filepath.Dir(path), 0o755))
				must(t, os.WriteFile(path, []byte(text), 0o644))
			}
			got, err := folder.Look(dir)
			if c.wrong == "" {
				if err != nil || got != c.want {
					t.Errorf("%v, %v; want %v", got, err, c.want)
				}
			} else if !errors.Is(err, mirror.ErrNoMirror) || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%v, %v; want %q", got, err, c.wrong)
			}
			link := filepath.Join(t.TempDir(), "link")
			must(t, os.Symlink(dir, link))
			if through, err2 := folder.Look(link); through != got || (err2 == nil) != (err == nil) {
				t.Errorf("through a link: %v, %v", through, err2)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLookAtNone is about what is no folder.
func TestLookAtNone(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	if got, err := folder.Look(missing); err != nil || got != mirror.Missing {
		t.Errorf("nothing there: %v, %v", got, err)
	}
	if err := mirror.Need(t.Context(), folder.At(missing)); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, mirror.ErrNowhere) {
		t.Errorf("nothing there: %v", err)
	}
	if err := mirror.Need(t.Context(), folder.At(dir)); !errors.Is(err, mirror.ErrNoMirror) || !errors.Is(err, mirror.ErrNowhere) {
		t.Errorf("empty: %v", err)
	}
	link, file := filepath.Join(dir, "link"), filepath.Join(dir, "file")
	must(t, os.Symlink(missing, link))
	must(t, os.WriteFile(file, nil, 0o644))
	for _, path := range []string{link, file} {
		if _, err := folder.Look(path); !errors.Is(err, mirror.ErrNoMirror) {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := publish.Add(t.Context(), folder.At(path), raw("1", file)); !errors.Is(err, mirror.ErrNoMirror) {
			t.Errorf("publish to %s: %v", path, err)
		}
	}
	if _, err := os.Lstat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
}

func raw(version, file string) publish.Publication {
	return publish.Publication{Version: version, Channel: "stable", Artifacts: []publish.File{{Name: mirror.ImageName, Path: file}}}
}

// TestPublishElsewhere refuses a folder of other things and leaves it as it was, lock and all.
func TestPublishElsewhere(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "image")
	must(t, os.WriteFile(file, []byte("image"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "letter"), nil, 0o644))
	if _, err := publish.Add(t.Context(), folder.At(dir), raw("1", file)); !errors.Is(err, mirror.ErrNoMirror) {
		t.Errorf("published: %v", err)
	}
	if _, err := check.Mirror(t.Context(), folder.At(dir), check.Options{}); !errors.Is(err, mirror.ErrNoMirror) {
		t.Errorf("checked: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

// TestPublishUnsigned refuses to add to a signed mirror what nobody signs, unless that is asked
// for.
func TestPublishUnsigned(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "image")
	must(t, os.WriteFile(file, []byte("image"), 0o644))
	must(t, os.MkdirAll(filepath.Join(dir, "metadata"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "metadata/1.root.json"), nil, 0o644))
	p := raw("1", file)
	if _, err := publish.Add(t.Context(), folder.At(dir), p); !errors.Is(err, publish.ErrSigned) {
		t.Errorf("unsigned: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	p.Unsigned = true
	if _, err := publish.Add(t.Context(), folder.At(dir), p); err != nil {
		t.Error(err)
	}
}

// TestFirstPublishCrash cuts the power before each step of the first publication into an empty
// folder: what is left is never taken for somebody else's.
func TestFirstPublishCrash(t *testing.T) {
	file := filepath.Join(t.TempDir(), "image")
	must(t, os.WriteFile(file, []byte("image"), 0o644))
	for n := 1; ; n++ {
		dir := filepath.Join(t.TempDir(), "mirror")
		cut := durabletest.CrashAt(t, n)
		_, err := publish.Add(t.Context(), folder.At(dir), raw("1", file))
		if !cut.Keep() {
			must(t, err)
			if n < 10 {
				t.Errorf("the publication took %d steps", n)
			}
			return
		}
		if _, err := folder.Look(dir); err != nil {
			t.Fatalf("step %d: %v", n, err)
		}
		if _, err := publish.Add(t.Context(), folder.At(dir), raw("1", file)); err != nil {
			t.Fatalf("step %d: %v", n, err)
		}
	}
}
