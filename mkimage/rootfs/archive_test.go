package rootfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// randomBytes gives bytes that do not compress, so that a truncation anywhere loses some.
func randomBytes(n int) string {
	b := make([]byte, n)
	rand.New(rand.NewSource(1)).Read(b)
	return string(b)
}

func gzipped(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstded(t testing.TB, plain []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(plain, nil)
}

// xzed compresses with the real xz, into two streams with padding between them, like "xz -c >>".
func xzed(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, half := range [][]byte{plain[:len(plain)/2], plain[len(plain)/2:]} {
		path := filepath.Join(t.TempDir(), "half")
		if err := os.WriteFile(path, half, 0o600); err != nil {
			t.Fatal(err)
		}
		b.Write(run(t, "xz", "-9", "-c", path))
		b.Write(make([]byte, 4))
	}
	return b.Bytes()
}

func TestCompressed(t *testing.T) {
	plain := makeTar(t, plain("a", randomBytes(100000)), folder("b"), link("b/c", "a"))
	want := describe(t, readTar(t, plain, Options{}))
	for _, c := range []struct {
		name     string
		compress func(testing.TB, []byte) []byte
	}{
		{"plain", func(_ testing.TB, b []byte) []byte { return b }},
		{"gzip", gzipped},
		{"two gzip members", func(t testing.TB, b []byte) []byte { return append(gzipped(t, b[:999]), gzipped(t, b[999:])...) }},
		{"zstd", zstded},
		{"two zstd frames, the first skippable", func(t testing.TB, b []byte) []byte {
			skip := []byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4}
			return append(append(skip, zstded(t, b[:999])...), zstded(t, b[999:])...)
		}},
		{"xz", xzed},
	} {
		t.Run(c.name, func(t *testing.T) {
			archive := c.compress(t, plain)
			temp := t.TempDir()
			path := filepath.Join(temp, "misnamed.zip")
			if err := os.WriteFile(path, archive, 0o600); err != nil {
				t.Fatal(err)
			}
			checkSame(t, describe(t, mustRead(t, path, Options{tempDir: temp})), want)
			checkSame(t, describe(t, readTar(t, archive, Options{tempDir: temp})), want)
			stdin := iotest.HalfReader(bytes.NewReader(archive)) // a reader that cannot seek
			checkSame(t, describe(t, mustRead(t, "-", Options{tempDir: temp, Stdin: stdin})), want)
			checkOnly(t, temp, "misnamed.zip")

			for _, n := range []int{3, 7, 20, 600, len(archive) / 2, len(archive) - 2000} {
				_, err := FromTar(context.Background(), iotest.OneByteReader(bytes.NewReader(archive[:n])), Options{tempDir: temp})
				if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrKind) {
					t.Errorf("%d of %d bytes: got error %v", n, len(archive), err)
				}
			}
			checkOnly(t, temp, "misnamed.zip")
		})
	}
}

// checkOnly demands that a folder holds this file alone, since spools have no name.
func checkOnly(t *testing.T, dir, name string) {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil || len(found) != 1 || found[0].Name() != name {
		t.Errorf("%s holds %v, %v", dir, found, err)
	}
}

// TestPlainFileIsNotCopied demands that a plain archive in a file is read in place, where there is
// nowhere to spool to.
func TestPlainFileIsNotCopied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.tar")
	if err := os.WriteFile(path, makeTar(t, plain("a", "1")), 0o600); err != nil {
		t.Fatal(err)
	}
	nowhere := Options{tempDir: "/nonexistent"}
	if got := summary(t, mustRead(t, path, nowhere)); got != "a:1" {
		t.Errorf("got %s", got)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	nowhere.Stdin = f // deltaup mkimage - < a.tar
	if got := summary(t, mustRead(t, "-", nowhere)); got != "a:1" {
		t.Errorf("got %s", got)
	}
	if _, err := FromTar(context.Background(), io.MultiReader(f), nowhere); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stream: got error %v", err)
	}
}

func TestOpenKinds(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		content string
		want    error
	}{
		"empty":        {"", ErrMalformed},
		"short":        {"hello", ErrKind},
		"text":         {strings.Repeat("hello\n", 1000), ErrKind},
		"zip":          {"PK\x03\x04" + strings.Repeat("x", 1000), ErrKind},
		"gzipped text": {string(gzipped(t, []byte(strings.Repeat("hello\n", 1000)))), ErrKind},
		"zstd twice":   {string(zstded(t, zstded(t, makeTar(t, plain("a", "1"))))), ErrKind},
		"zeros":        {strings.Repeat("\x00", 10240), ErrMalformed},
		"broken zstd":  {"\x28\xb5\x2f\xfd" + strings.Repeat("\xff", 1000), ErrMalformed},
		"huge window":  {"\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00", ErrMalformed},
		"broken xz":    {"\xfd7zXZ\x00" + strings.Repeat("\xff", 1000), ErrMalformed},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(context.Background(), path, Options{})
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	if _, err := Open(context.Background(), dir+"/none", Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: got error %v", err)
	}
	if _, err := Open(context.Background(), "-", Options{}); err == nil {
		t.Error("no standard input, and no error")
	}
	image := strings.NewReader("hsqs" + strings.Repeat("\x00", 4096))
	if _, err := Open(context.Background(), "-", Options{Stdin: image}); err == nil || !strings.Contains(err.Error(), "only from a file") {
		t.Errorf("image on standard input: got error %v", err)
	}
}

func TestParseOwner(t *testing.T) {
	if o, err := ParseOwner("0:4294967295"); err != nil || o != (Owner{0, 4294967295}) {
		t.Errorf("got %v, %v", o, err)
	}
	for _, s := range []string{"", "0", "0:", ":0", "0:0:0", "root:root", "-1:0", "0:4294967296", " 0:0"} {
		if _, err := ParseOwner(s); err == nil || !strings.Contains(err.Error(), "UID:GID") {
			t.Errorf("%q: got error %v", s, err)
		}
	}
}

// TestContentCutOff demands an error for a content that is shorter than its header says.
func TestContentCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.tar")
	if err := os.WriteFile(path, makeTar(t, plain("a", randomBytes(5000))), 0o600); err != nil {
		t.Fatal(err)
	}
	tr := mustRead(t, path, Options{})
	if err := os.Truncate(path, 3000); err != nil {
		t.Fatal(err)
	}
	i, _ := entry(t, tr, "a")
	r, err := tr.Open(i)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	if n != 3000-512 || !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("got %d bytes, error %v", n, err)
	}
}

// TestSparse reads sparse files in a row, in every format that GNU tar writes, beside one that is
// not sparse.
func TestSparse(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 {
		f, err := os.Create(fmt.Sprintf("%s/sparse%d", dir, i))
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at <= i*9; at++ { // up to 37 pieces, more than fit one header
			if _, err := f.WriteAt([]byte(randomBytes(5000+i)), int64(at)<<18+int64(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Truncate(int64(i*9+1)<<18 + 77); err != nil { // a hole at the end
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"a": "1", "sparse2b": "2", "z": strings.Repeat("3", 600)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := describe(t, mustRead(t, dir, Options{}))
	for _, format := range [][]string{
		{"--format=gnu"}, {"--format=oldgnu"},
		{"--format=posix", "--sparse-version=0.0"}, {"--format=posix", "--sparse-version=0.1"}, {"--format=posix", "--sparse-version=1.0"},
	} {
		t.Run(strings.Join(format, " "), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.tar")
			run(t, "tar", append(format, "-S", "--numeric-owner", "--sort=name", "-C", dir, "-cf", path, ".")...)
			info, err := os.Stat(path)
			if err != nil || info.Size() > 1<<20 {
				t.Fatalf("tar made no sparse archive: %v, %v", info, err)
			}
			checkSame(t, describe(t, mustRead(t, path, Options{})), want)
		})
	}
}
