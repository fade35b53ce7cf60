package settings

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"deltaup/settings/tarball"
)

// archive makes a tar archive of entries without content.
func archive(t testing.TB, entries ...tarball.Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tarball.NewWriter(&b, time.Unix(0, 0))
	for i := range entries {
		if err := w.Add(&entries[i], make([]byte, entries[i].Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReadArchive(t *testing.T) {
	plain := archive(t, tarball.Entry{Name: "etc/hosts", Type: tarball.File, Mode: 0o644, Size: 3},
		tarball.Entry{Name: "etc/hard", Type: tarball.Hard, Target: "etc/hosts"},
		tarball.Entry{Name: "etc/a", Type: tarball.File, Xattrs: map[string]string{"trusted.overlay.opaque": "y", "user.a": "b"}})
	packed := gzipped(t, plain)
	damaged := bytes.Clone(packed)
	damaged[len(damaged)-5] ^= 1
	for name, c := range map[string]struct {
		bytes []byte
		err   error
	}{
		"plain":      {plain, nil},
		"gzip":       {packed, nil},
		"encrypted":  {append([]byte("Salted__"), packed...), ErrEncrypted},
		"text":       {[]byte(strings.Repeat("no archive\n", 100)), ErrNoArchive},
		"empty":      {nil, ErrNoArchive},
		"not gzip":   {[]byte("\x1f\x8bnothing"), ErrNoArchive},
		"cut off":    {packed[:len(packed)/2], tarball.ErrFormat},
		"damaged":    {damaged, tarball.ErrFormat},
		"other gzip": {gzipped(t, []byte("hello")), ErrNoArchive},
	} {
		var items []item
		err := readArchive(t.Context(), bytes.NewReader(c.bytes), func(i *item) error {
			_, err := io.Copy(io.Discard, i.content)
			items = append(items, *i)
			return err
		})
		if !errors.Is(err, c.err) || err != nil && c.err == nil {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if c.err != nil {
			continue
		}
		if len(items) != 3 || items[0].entry.Kind != File || items[1].refused == "" || len(items[2].entry.Xattrs) != 1 {
			t.Errorf("%s: %+v", name, items)
		}
	}
}

// TestImportTargets has names that must not lead anywhere else.
func TestImportTargets(t *testing.T) {
	for _, c := range []struct{ prefix, name, want string }{
		{"/", "etc/hosts", "/etc/hosts"},
		{"/", "./etc/hosts", "/etc/hosts"},
		{"/", "/etc/hosts", "/etc/hosts"},
		{"/etc", "hosts", "/etc/hosts"},
		{"/", ".", "/"},
		{"/", "../etc/shadow", ""},
		{"/", "etc/../../x", ""},
		{"/etc", "..", ""},
		{"/", "etc/a\x00b", ""},
		{"/", strings.Repeat("x", 300), ""},
	} {
		p := &importPlan{prefix: c.prefix}
		got, why := p.target(c.name)
		if c.want == "" && why == "" || c.want != "" && (got != c.want || why != "") {
			t.Errorf("%q below %s: %q %q, want %q", c.name, c.prefix, got, why, c.want)
		}
	}
}

func TestAttributes(t *testing.T) {
	entries := []Entry{
		{Path: "/etc/hosts", Kind: File, Mode: 0o644},
		{Path: "/etc/link", Kind: Link, UID: 1, GID: 2},
		{Path: "/etc/new\nline \"x\"", Kind: Folder, Mode: 0o1777, UID: 7, Xattrs: []Xattr{{"user.a", "b c"}}},
		{Path: "/etc/gone", Kind: Gone},
	}
	text := attributesMagic + "\nsecret \"/etc/shadow\"\n"
	for i := range entries {
		text += entries[i].attributes() + "\n"
	}
	all, err := parseAttributes([]byte(text))
	if err != nil || len(all) != len(entries) {
		t.Fatalf("%v, %v", all, err)
	}
	for _, e := range entries {
		if got := all[e.Path]; !got.same(&e) {
			t.Errorf("got %v, want %v", &got, &e)
		}
	}
	for _, bad := range []string{"", "file\n", attributesMagic + "\nfile \"/etc/x\" 0644 0\n", attributesMagic + "\nfile \"etc\" 0644 0 0\n",
		attributesMagic + "\ngone \"/etc/x\" 0\n", attributesMagic + "\nfile \"/x\" 0644 0 0 \"trusted.x\" \"y\"\n", attributesMagic + "\npipe \"/x\"\n"} {
		if _, err := parseAttributes([]byte(bad)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzAttributes(f *testing.F) {
	f.Add([]byte(attributesMagic + "\nfile \"/etc/x\" 0644 0 0 \"user.a\" \"b\"\ngone \"/y\"\nlink \"/z\" 1 2\nsecret \"/s\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parseAttributes(text)
		if err != nil {
			return
		}
		for path, e := range all {
			again, err := parseAttributes([]byte(attributesMagic + "\n" + e.attributes() + "\n"))
			if got := again[path]; err != nil || !got.same(&e) || validPath(path) != nil {
				t.Errorf("%v became %v: %v", &e, &got, err)
			}
		}
	})
}

// FuzzArchive reads anything as an archive: what it gives are items that the plan can decide about.
func FuzzArchive(f *testing.F) {
	f.Add(archive(f, tarball.Entry{Name: "../etc/hosts", Type: tarball.File, Size: 3}, tarball.Entry{Name: "x", Type: tarball.Link, Target: "/"}))
	f.Add(gzipped(f, archive(f, tarball.Entry{Name: "etc", Type: tarball.Folder})))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := &importPlan{prefix: "/"}
		_ = readArchive(context.Background(), bytes.NewReader(b), func(i *item) error {
			full, why := p.target(i.name)
			if why == "" && full != "/" && validPath(full) != nil {
				t.Errorf("%q is to be %q", i.name, full)
			}
			if e := i.entry; i.refused == "" && (e.Mode > 0o7777 || e.Kind != File && e.Kind != Folder && e.Kind != Link || e.Size < 0) {
				t.Errorf("%+v", e)
			}
			_, err := io.Copy(io.Discard, io.LimitReader(i.content, 1<<20))
			return err
		})
	})
}
