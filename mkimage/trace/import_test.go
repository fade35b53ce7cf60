package trace

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"deltaup/chunkstore"
)

func TestReadList(t *testing.T) {
	got, err := Read(strings.NewReader("# a comment\n/usr/bin/b\n\n./etc/a\nusr/bin/b\n/../../x y\n"))
	if want := []string{"usr/bin/b", "etc/a", "x y"}; err != nil || !slices.Equal(got.Paths(), want) {
		t.Fatalf("got %q, error %v, want %q", got.Paths(), err, want)
	}
	if _, err := Read(strings.NewReader("a\x00b\n")); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("a zero byte gave %v", err)
	}
	if _, err := Read(strings.NewReader(strings.Repeat("x", maxLine+1))); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("a long line gave %v", err)
	}
}

func TestReadStrace(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"plain":            {`openat(AT_FDCWD, "/etc/a", O_RDONLY|O_CLOEXEC) = 3`, []string{"etc/a"}},
		"with a process":   {`[pid  12] open("/etc/a", O_RDONLY) = 3`, []string{"etc/a"}},
		"in a file":        {`12 1700000000.123456 execve("/bin/a", ["a"], 0x7ff /* 3 vars */) = 0`, []string{"bin/a"}},
		"with a clock":     {`12 10:11:12 execve("/bin/a", ["a"], 0x7ff /* 3 vars */) = 0`, []string{"bin/a"}},
		"a clock alone":    {`10:11:12 execve("/bin/a", ["a"], 0x7ff /* 3 vars */) = 0`, []string{"bin/a"}},
		"failed":           {`openat(AT_FDCWD, "/etc/a", O_RDONLY) = -1 ENOENT (No such file or directory)`, nil},
		"no open":          {`stat("/etc/a", {st_mode=S_IFREG}) = 0`, nil},
		"relative":         {`openat(AT_FDCWD, "a", O_RDONLY) = 3`, nil},
		"relative, -y":     {`openat(AT_FDCWD</etc>, "a", O_RDONLY) = 3</etc/a>`, []string{"etc/a"}},
		"below a folder":   {`openat(5</usr/lib>, "a", O_RDONLY) = 3`, []string{"usr/lib/a"}},
		"escapes":          {`openat(AT_FDCWD, "/a\n\"\303\274\\", O_RDONLY) = 3`, []string{"a\n\"\u00fc\\"}},
		"interrupted":      {"7 openat(AT_FDCWD, \"/a\", O_RDONLY <unfinished ...>\n8 open(\"/b\", 0) = 3\n7 <... openat resumed>) = 4", []string{"b", "a"}},
		"interrupted, bad": {"7 openat(AT_FDCWD, \"/a\", O_RDONLY <unfinished ...>\n7 <... openat resumed>) = -1 ENOENT (No such file or directory)", nil},
	} {
		t.Run(name, func(t *testing.T) {
			// The first line shows that this is strace's output.
			got, err := Read(strings.NewReader("execve(\"/x\", [], 0) = 0\n" + c.text + "\n"))
			if err != nil || !slices.Equal(got.Paths(), append([]string{"x"}, c.want...)) {
				t.Errorf("got %q, error %v, want %q", got.Paths(), err, c.want)
			}
		})
	}
}

// TestStraceTimes reads the times of strace -ttt, of one process and of several.
func TestStraceTimes(t *testing.T) {
	for _, process := range []string{"", "12 ", "[pid 12] "} {
		got, err := Read(strings.NewReader(process + "1700000000.500000 open(\"/a\", 0) = 3\n" +
			process + "1700000001.750000 open(\"/b\", 0) = 3\n"))
		if err != nil || len(got.Files) != 2 || got.Files[1].First != 1250*time.Millisecond {
			t.Errorf("after %q: got %v, error %v", process, got, err)
		}
	}
}

// TestStrace reads the output of a real strace.
func TestStrace(t *testing.T) {
	strace := needTool(t, "strace")
	dir := t.TempDir()
	for _, name := range []string{"a b", "c"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out")
	cmd := exec.Command(strace, "-f", "-ttt", "-y", "-e", "trace=%file", "-o", out, "sh", "-c", "cat 'a b'; cat missing; cat c")
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("strace: %v: %s", err, text)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var own []string
	for _, p := range got.Paths() {
		if rest, ok := strings.CutPrefix("/"+p, dir+"/"); ok {
			own = append(own, rest)
		}
	}
	if want := []string{"a b", "c"}; !reflect.DeepEqual(own, want) {
		t.Errorf("of %s got %q, want %q\n%s", dir, own, want, text)
	}
}

// needTool finds a program that bench/tools.sh installs.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("DELTAUP_TEST_ALL") != "" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
	return path
}
