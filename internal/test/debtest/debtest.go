// Package debtest makes packages of Debian for tests, without dpkg.
package debtest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Package is what a package is made of.
type Package struct {
	Name, Version string            // Version "": 1
	Control       map[string]string // files of the control archive, such as postinst
	Files         []File
	Plain         bool // the archives are not compressed
}

// File is a file of a package. Folders above it are made, too.
type File struct {
	Name    string // with a slash at its end for a folder
	Content string
	Link    string // of a symbolic link
	Hard    string // of a hard link
	Mode    int64  // 0: 0644, 0755 for folders
	UID     int
	Type    byte // 0: what the fields above say
}

// Bytes gives the package as a file.
func (p Package) Bytes(t testing.TB) []byte {
	t.Helper()
	version := p.Version
	if version == "" {
		version = "1"
	}
	control := []File{{Name: "control", Content: fmt.Sprintf(
		"Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: nobody\nDescription: a test\n with two lines\n", p.Name, version)}}
	for _, name := range slices.Sorted(maps.Keys(p.Control)) {
		control = append(control, File{Name: name, Content: p.Control[name], Mode: 0o755})
	}
	suffix := ".zst"
	if p.Plain {
		suffix = ""
	}
	var out bytes.Buffer
	out.WriteString("!<arch>\n")
	member(&out, "debian-binary", []byte("2.0\n"))
	member(&out, "control.tar"+suffix, p.pack(t, control))
	member(&out, "data.tar"+suffix, p.pack(t, withFolders(p.Files)))
	return out.Bytes()
}

func member(out *bytes.Buffer, name string, content []byte) {
	fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, 0, 0, 0, "100644", len(content))
	out.Write(content)
	if len(content)%2 != 0 {
		out.WriteByte('\n')
	}
}

// withFolders puts the folders of files before them.
func withFolders(files []File) (list []File) {
	seen := map[string]bool{}
	for _, f := range files {
		seen[strings.TrimSuffix(f.Name, "/")] = true
	}
	list = append(list, File{Name: "./"})
	var add func(dir string)
	add = func(dir string) {
		if dir == "." || seen[dir] {
			return
		}
		add(path.Dir(dir))
		seen[dir] = true
		list = append(list, File{Name: dir + "/"})
	}
	for _, f := range files {
		add(path.Dir(strings.TrimSuffix(f.Name, "/")))
		list = append(list, f)
	}
	return list
}

func (p Package) pack(t testing.TB, files []File) []byte {
	t.Helper()
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	for _, f := range files {
		h := &tar.Header{
			Name: f.Name, Mode: f.Mode, Uid: f.UID, Gid: f.UID, Typeflag: tar.TypeReg,
			Size: int64(len(f.Content)), ModTime: time.Unix(1_700_000_000, 0),
		}
		switch {
		case f.Type != 0:
			h.Typeflag = f.Type
		case f.Link != "":
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Link, 0o777
		case f.Hard != "":
			h.Typeflag, h.Linkname = tar.TypeLink, f.Hard
		case strings.HasSuffix(f.Name, "/"):
			h.Typeflag = tar.TypeDir
		}
		if h.Mode == 0 {
			h.Mode = map[bool]int64{true: 0o755, false: 0o644}[h.Typeflag == tar.TypeDir]
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.Content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if p.Plain {
		return plain.Bytes()
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll(plain.Bytes(), nil)
}
