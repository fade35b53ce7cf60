package tarball

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// read reads all entries with their contents.
func read(archive []byte) (entries []Entry, contents []string, err error) {
	r := NewReader(bytes.NewReader(archive))
	for {
		e, err := r.Next()
		if err == io.EOF {
			return entries, contents, nil
		}
		if err != nil {
			return entries, contents, err
		}
		b, err := io.ReadAll(io.LimitReader(r, 1<<20))
		if err != nil {
			return entries, contents, err
		}
		entries, contents = append(entries, *e), append(contents, string(b))
	}
}

var samples = []struct {
	entry   Entry
	content string
}{
	{Entry{Name: "etc", Type: Folder, Mode: 0o755}, ""},
	{Entry{Name: "etc/hosts", Type: File, Mode: 0o644, Size: 5}, "hello"},
	{Entry{Name: "etc/empty", Type: File, Mode: 0o4600, UID: 1000, GID: 4_000_000_000}, ""},
	{Entry{Name: "etc/localtime", Type: Link, Mode: 0o777, Target: "/usr/share/" + strings.Repeat("zone", 40)}, ""},
	{Entry{Name: strings.Repeat("folder/", 30) + "file", Type: File, Mode: 0o600, Size: 512}, strings.Repeat("x", 512)},
	{Entry{Name: "etc/with", Type: File, Mode: 0o600, Size: 1, Xattrs: map[string]string{"user.a": "1\n2=3", "security.capability": "\x00\x01"}}, "y"},
}

func sample(t testing.TB) []byte {
	var b bytes.Buffer
	w := NewWriter(&b, time.Unix(1_700_000_000, 0))
	for _, s := range samples {
		if err := w.Add(&s.entry, []byte(s.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	entries, contents, err := read(sample(t))
	if err != nil || len(entries) != len(samples) {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for i, s := range samples {
		e := entries[i]
		if !maps.Equal(e.Xattrs, s.entry.Xattrs) {
			t.Errorf("%s: attributes %q", e.Name, e.Xattrs)
		}
		if e.Name != s.entry.Name || e.Type != s.entry.Type || e.Mode != s.entry.Mode || e.UID != s.entry.UID ||
			e.GID != s.entry.GID || e.Size != s.entry.Size || e.Target != s.entry.Target || contents[i] != s.content {
			t.Errorf("got %+v, want %+v", e, s.entry)
		}
	}
}

// TestLibrary has archive/tar read what is written, and write what is read, in each of its formats.
func TestLibrary(t *testing.T) {
	r := tar.NewReader(bytes.NewReader(sample(t)))
	for _, s := range samples {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil || string(b) != s.content || strings.TrimSuffix(h.Name, "/") != s.entry.Name || h.Linkname != s.entry.Target ||
			h.Uid != int(s.entry.UID) || h.Gid != int(s.entry.GID) || h.Mode != int64(s.entry.Mode) || h.ModTime.Unix() != 1_700_000_000 {
			t.Errorf("%+v, %v, want %+v", h, err, s.entry)
		}
		for k, v := range s.entry.Xattrs {
			if h.PAXRecords["SCHILY.xattr."+k] != v {
				t.Errorf("%s: attribute %s is %q", h.Name, k, h.PAXRecords["SCHILY.xattr."+k])
			}
		}
	}
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatGNU, tar.FormatPAX} {
		long := strings.Repeat("part/", 24) + "file"
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range []tar.Header{
			{Name: long, Size: 3, Mode: 0o640, Uid: 7, Gid: 8, Typeflag: tar.TypeReg, Format: format},
			{Name: "hard", Linkname: "etc/hosts", Typeflag: tar.TypeLink, Format: format},
			{Name: "folder/", Mode: 0o711, Typeflag: tar.TypeDir, Format: format},
			{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Format: format},
		} {
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if h.Size > 0 {
				if _, err := w.Write([]byte("abc")); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		entries, contents, err := read(b.Bytes())
		if err != nil || len(entries) != 4 {
			t.Fatalf("%v: %v, %+v", format, err, entries)
		}
		if e := entries[0]; e.Name != long || e.UID != 7 || e.GID != 8 || e.Mode != 0o640 || contents[0] != "abc" {
			t.Errorf("%v: %+v %q", format, e, contents[0])
		}
		if e := entries[1]; e.Type != Hard || e.Target != "etc/hosts" {
			t.Errorf("%v: %+v", format, e)
		}
		if e := entries[2]; e.Type != Folder || e.Name != "folder" || e.Mode != 0o711 {
			t.Errorf("%v: %+v", format, e)
		}
		if e := entries[3]; e.Type != Other {
			t.Errorf("%v: %+v", format, e)
		}
	}
}

// TestTools reads what tar and busybox tar write.
func TestTools(t *testing.T) {
	dir := t.TempDir()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, "in/etc"), 0o755))
	must(os.WriteFile(filepath.Join(dir, "in/etc/hosts"), []byte("127.0.0.1 localhost\n"), 0o640))
	must(os.Symlink("hosts", filepath.Join(dir, "in/etc/link")))
	for _, tool := range [][]string{{"tar"}, {"tar", "--format=v7"}, {"tar", "--format=posix"}, {"busybox", "tar"}} {
		if _, err := exec.LookPath(tool[0]); err != nil {
			continue
		}
		file := filepath.Join(dir, "out.tar")
		out, err := exec.Command(tool[0], append(tool[1:], "-C", filepath.Join(dir, "in"), "-cf", file, "etc")...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", tool, err, out)
		}
		archive, err := os.ReadFile(file)
		must(err)
		entries, contents, err := read(archive)
		found := map[string]string{}
		for i, e := range entries {
			found[e.Name] = string(e.Type) + " " + e.Target + contents[i]
		}
		if err != nil || found["etc"] != "5 " || found["etc/hosts"] != "0 127.0.0.1 localhost\n" || found["etc/link"] != "2 hosts" {
			t.Errorf("%v: %v, %q", tool, err, found)
		}
	}
}

func TestDamaged(t *testing.T) {
	whole := sample(t)
	for name, archive := range map[string][]byte{
		"text":     []byte(strings.Repeat("no archive ", 100)),
		"short":    whole[:700],
		"checksum": append([]byte("X"), whole[1:]...),
		"half":     whole[:100],
	} {
		if _, _, err := read(archive); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzReader reads anything; what it takes for an archive is written and read again alike.
func FuzzReader(f *testing.F) {
	f.Add(sample(f))
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: strings.Repeat("n", 200), Typeflag: tar.TypeReg, Format: tar.FormatGNU}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, archive []byte) {
		entries, contents, err := read(archive)
		if err != nil {
			return
		}
		var b bytes.Buffer
		w := NewWriter(&b, time.Unix(0, 0))
		for i := range entries {
			if entries[i].Type == Other || strings.ContainsRune(entries[i].Name+entries[i].Target, 0) {
				return
			}
			for k := range entries[i].Xattrs {
				if strings.Contains(k, "=") {
					return
				}
			}
			if err := w.Add(&entries[i], []byte(contents[i])); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		again, more, err := read(b.Bytes())
		if err != nil || len(again) != len(entries) {
			t.Fatalf("%v: %d entries, not %d", err, len(again), len(entries))
		}
		for i := range again {
			e, o := again[i], entries[i]
			if e.Type == Folder && o.Name == "" {
				continue
			}
			if e.Name != o.Name || e.UID != o.UID || e.Mode != o.Mode || e.Target != o.Target || more[i] != contents[i] {
				t.Errorf("%+v became %+v", o, e)
			}
		}
	})
}
