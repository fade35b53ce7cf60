package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"deltaup/mkimage/tree"
)

// file is one entry of a small tree that a test makes.
type file struct {
	Name    string
	Dir     bool
	Content string
	Header  tar.Header // other fields, where a test needs them
}

// makeTar writes an archive with exactly these entries.
func makeTar(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := f.Header
		h.Name, h.Size = f.Name, int64(len(f.Content))
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if f.Dir {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if _, err := io.WriteString(w, f.Content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// writeFolder makes a folder of plain files and folders.
func writeFolder(t testing.TB, files ...file) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		var err error
		if f.Dir {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = os.WriteFile(path, []byte(f.Content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// mustRead opens a tree and closes it when the test ends.
func mustRead(t testing.TB, path string, o Options) tree.Tree {
	t.Helper()
	tr, err := Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return closeLater(t, tr)
}

func readTar(t testing.TB, archive []byte, o Options) tree.Tree {
	t.Helper()
	tr, err := FromTar(context.Background(), bytes.NewReader(archive), o)
	if err != nil {
		t.Fatal(err)
	}
	return closeLater(t, tr)
}

func closeLater(t testing.TB, tr tree.Tree) tree.Tree {
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

func paths(tr tree.Tree) []string {
	var p []string
	for _, e := range tr.Entries() {
		p = append(p, e.Path)
	}
	return p
}

func entry(t testing.TB, tr tree.Tree, path string) (int, tree.Entry) {
	t.Helper()
	for i, e := range tr.Entries() {
		if e.Path == path {
			return i, e
		}
	}
	t.Fatalf("no entry %q", path)
	return 0, tree.Entry{}
}

func content(t testing.TB, tr tree.Tree, i int) string {
	t.Helper()
	r, err := tr.Open(i)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// describe gives a line for each entry with everything that it has, and the hash of its content.
func describe(t testing.TB, tr tree.Tree) []string {
	t.Helper()
	var lines []string
	for i, e := range tr.Entries() {
		line := fmt.Sprintf("%q %s %o %d:%d %d", e.Path, typeNames[e.Type], e.Mode, e.UID, e.GID, e.ModTime)
		switch {
		case e.Link != "":
			line += fmt.Sprintf(" = %q", e.Link)
		case e.Type == tree.Regular:
			line += fmt.Sprintf(" %d %x", e.Size, sha256.Sum256([]byte(content(t, tr, i))))
		case e.Type == tree.Symlink:
			line += fmt.Sprintf(" -> %q", e.Target)
		}
		if e.Major|e.Minor != 0 {
			line += fmt.Sprintf(" dev %d:%d", e.Major, e.Minor)
		}
		for _, x := range e.Xattrs {
			line += fmt.Sprintf(" %s=%q", x.Name, x.Value)
		}
		lines = append(lines, line)
	}
	return lines
}

func checkSame(t testing.TB, got, want []string) {
	t.Helper()
	if len(want) < 2 {
		t.Fatalf("nothing to compare with: %q", want)
	}
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Fatalf("entry %d:\ngot  %s\nwant %s", i, g, w)
		}
	}
}

// checkTree checks what the Tree interface promises.
func checkTree(t testing.TB, tr tree.Tree) {
	t.Helper()
	entries := tr.Entries()
	known := make(map[string]tree.Entry)
	for i, e := range entries {
		switch {
		case i == 0 && (e.Path != "" || e.Type != tree.Directory):
			t.Fatalf("first entry is %+v", e)
		case i > 0 && tree.Compare(entries[i-1].Path, e.Path) >= 0:
			t.Fatalf("%q comes after %q", e.Path, entries[i-1].Path)
		case i > 0 && known[parentOf(e.Path)].Type != tree.Directory:
			t.Fatalf("%q lies in no folder", e.Path)
		case e.Type < tree.Directory || e.Type > tree.Socket || e.Mode > 0o7777 || e.Size < 0:
			t.Fatalf("impossible entry %+v", e)
		}
		if !slices.IsSortedFunc(e.Xattrs, func(a, b tree.Xattr) int { return strings.Compare(a.Name, b.Name) }) {
			t.Fatalf("%q: extended attributes not sorted", e.Path)
		}
		if e.Link != "" {
			first, ok := known[e.Link]
			if !ok || first.Link != "" || first.Type == tree.Directory {
				t.Fatalf("%q links to %q, which is no first name", e.Path, e.Link)
			}
			first.Path, first.Link = e.Path, e.Link
			if fmt.Sprintf("%+v", first) != fmt.Sprintf("%+v", e) {
				t.Fatalf("link and file differ: %+v, %+v", e, first)
			}
		}
		known[e.Path] = e
	}
}

// tool finds a foreign program. Without it the test is skipped, or fails when all tests must run.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("DELTAUP_TEST_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(tool(t, name), args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

func at(sec int64) time.Time { return time.Unix(sec, 0) }
