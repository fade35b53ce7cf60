package deb_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/internal/test/debtest"
	"deltaup/internal/test/oracle"
	"deltaup/internal/test/treetest"
	"deltaup/mkimage/layers/deb"
	"deltaup/mkimage/rootfs"
)

var sample = debtest.Package{
	Name: "sample", Version: "1:2.0-3+b1",
	Control: map[string]string{"postinst": "#!/bin/sh\nexit 0\n", "conffiles": "/etc/b\nremove-on-upgrade /etc/a\n"},
	Files: []debtest.File{
		{Name: "etc/b", Content: "b"},
		{Name: "usr/bin/tool", Content: strings.Repeat("tool", 1000), Mode: 0o4755},
		{Name: "usr/bin/again", Hard: "usr/bin/tool"},
		{Name: "usr/bin/link", Link: "tool"},
	},
}

func TestRead(t *testing.T) {
	for _, plain := range []bool{false, true} {
		made := sample
		made.Plain = plain
		p, err := deb.Read(t.Context(), bytes.NewReader(made.Bytes(t)), rootfs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if p.Name != "sample" || p.Version != "1:2.0-3+b1" || p.Architecture != "amd64" {
			t.Errorf("package %s %s %s", p.Name, p.Version, p.Architecture)
		}
		if string(p.Control["postinst"]) != "#!/bin/sh\nexit 0\n" {
			t.Errorf("postinst %q", p.Control["postinst"])
		}
		var paths []string
		for i, e := range p.Entries() {
			paths = append(paths, e.Path)
			if e.Path != "usr/bin/again" {
				continue
			}
			r, err := p.Open(i)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil || len(b) != 4000 {
				t.Errorf("content of %d bytes: %v", len(b), err)
			}
		}
		want := []string{"", "etc", "etc/b", "usr", "usr/bin", "usr/bin/again", "usr/bin/link", "usr/bin/tool"}
		if !slices.Equal(paths, want) {
			t.Errorf("paths %q", paths)
		}
	}
}

// TestDpkg reads what the real dpkg-deb packs, in each of its compressions.
func TestDpkg(t *testing.T) {
	oracle.Need(t, "dpkg-deb")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"DEBIAN/control": "Package: real\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody\nDescription: x\n",
		"usr/share/x":    strings.Repeat("some content\n", 5000),
	} {
		treetest.Write(t, filepath.Join(dir, "tree", name), text)
	}
	for _, compression := range []string{"none", "gzip", "xz", "zstd"} {
		out := filepath.Join(dir, compression+".deb")
		cmd := exec.Command("dpkg-deb", "--root-owner-group", "-Z"+compression, "--build", filepath.Join(dir, "tree"), out)
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		p, err := deb.Open(t.Context(), out, rootfs.Options{})
		if err != nil {
			t.Fatalf("%s: %v", compression, err)
		}
		last := p.Entries()[len(p.Entries())-1]
		if p.Name != "real" || last.Path != "usr/share/x" || last.Size != 65000 {
			t.Errorf("%s: %s, last entry %+v", compression, p.Name, last)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestMalformed(t *testing.T) {
	good := sample.Bytes(t)
	for name, b := range map[string][]byte{
		"empty":           nil,
		"no archive":      []byte("!<arch>"),
		"cut":             good[:len(good)/2],
		"version":         bytes.Replace(good, []byte("2.0\n"), []byte("3.0\n"), 1),
		"huge member":     bytes.Replace(good, []byte("4         `"), []byte("9999999999`"), 1),
		"negative member": bytes.Replace(good, []byte("4         `"), []byte("-4        `"), 1),
		"other name":      bytes.Replace(good, []byte("control.tar"), []byte("contrul.tar"), 1),
	} {
		_, err := deb.Read(t.Context(), bytes.NewReader(b), rootfs.Options{})
		if !errors.Is(err, deb.ErrMalformed) && !errors.Is(err, rootfs.ErrMalformed) && !errors.Is(err, rootfs.ErrKind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"../x", "a b", "", ".hidden"} {
		b := debtest.Package{Name: name}.Bytes(t)
		if _, err := deb.Read(t.Context(), bytes.NewReader(b), rootfs.Options{}); !errors.Is(err, deb.ErrMalformed) {
			t.Errorf("a package named %q: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	plain := sample // rootfs fuzzes what unpacks archives
	plain.Files = sample.Files[:1]
	plain.Plain = true
	f.Add(plain.Bytes(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 {
			return
		}
		p, err := deb.Read(context.Background(), bytes.NewReader(b), rootfs.Options{})
		if err != nil {
			return
		}
		for i, e := range p.Entries() {
			if strings.HasPrefix(e.Path, "/") || strings.Contains("/"+e.Path+"/", "/../") {
				t.Errorf("entry %d is %q", i, e.Path)
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}
