package busybox

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"deltaup/internal/test/oracle"
)

// TestApplets compares the tables of the busybox here with what it says when it is run.
func TestApplets(t *testing.T) {
	name := oracle.Need(t, "busybox")
	out, err := exec.Command(name, "--list-full").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(out))
	slices.Sort(want)
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := Applets(f)
	if err != nil || !slices.Equal(got, want) || len(got) < 50 {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
}

func TestAppletsUnknown(t *testing.T) {
	b, err := os.ReadFile(oracle.Need(t, "tar")) // a program that is no busybox
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Applets(bytes.NewReader(b)); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := Applets(bytes.NewReader(b[:100])); !errors.Is(err, ErrMalformed) {
		t.Errorf("cut short: got %q, %v", got, err)
	}
}

func TestParsePaths(t *testing.T) {
	got, err := ParsePaths([]byte("/bin/sh\n/bin/ash\n\n/usr/bin/[\n/bin/sh\n"))
	if want := []string{"bin/ash", "bin/sh", "usr/bin/["}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	for _, s := range []string{"bin/sh", "/", "/bin/../../x", "/bin//sh", "/a\x00b", strings.Repeat("/a\n", listMax)} {
		if got, err := ParsePaths([]byte(s)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.20q: got %q, %v", s, got, err)
		}
	}
}

// FuzzTables demands of any list, and of any section, that it is read within bounds.
func FuzzTables(f *testing.F) {
	f.Add([]byte("/bin/sh\n/bin/ash\n"))
	f.Add([]byte("\x33\x11\x13\x11\x00[\x00[[\x00ash\x00cat\x00cut\x00ls\x00sh\x00tar\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<12 {
			return
		}
		if paths, err := ParsePaths(b); err == nil && !slices.IsSorted(paths) {
			t.Fatalf("got %q", paths)
		}
		for _, names := range tables(b) {
			if paths := locate(names, b); paths != nil && len(paths) != len(names) {
				t.Fatalf("%q lie at %q", names, paths)
			}
		}
		if paths, err := Applets(bytes.NewReader(b)); err == nil && len(paths) == 0 {
			t.Fatal("no applets and no error")
		}
	})
}
