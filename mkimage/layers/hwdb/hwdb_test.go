package hwdb

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"deltaup/internal/test/oracle"
	"deltaup/internal/test/treetest"
	"deltaup/mkimage/layers/internal/systemd"
)

// populate makes a tree with the text files of a systemd.
func populate(t testing.TB, root, version string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	var many strings.Builder
	for i := range 400 {
		fmt.Fprintf(&many, "evdev:input:b%04Xv%04X*\n", random.IntN(5), random.IntN(300))
		if i%3 == 0 {
			fmt.Fprintf(&many, "evdev:name:%c*:dmi:*\n", 'a'+random.IntN(26))
		}
		for range 1 + random.IntN(3) {
			fmt.Fprintf(&many, "  KEY_%d=value %d\n", random.IntN(9), random.IntN(50))
		}
		many.WriteString("\n")
	}
	for name, text := range map[string]string{
		"usr/lib/udev/hwdb.d/10-many.hwdb": many.String(),
		"usr/lib/udev/hwdb.d/20-a.hwdb": "# comment\n\nusb:v1D6B*\nusb:v1D6C* # comment\n ID_VENDOR=Linux # comment\n" +
			"#comment inside\n   ID_MODEL = spaces  \n \tTAB=x\n \t\n\nno properties\n\nusb:*\n NOVALUE\n =nokey\n  =nokey\n EMPTY=\n",
		"usr/lib/udev/hwdb.d/30-b.hwdb": " INDENTED=1\nusb:v1D6B*\n ID_VENDOR=replaced\nlost\n LOST=1\n\nusb:v1D6Bp0001*\n LAST=1",
		"usr/lib/udev/hwdb.d/40-ends.hwdb": "a\r\n A=1\r\n\r\n\r\nb\r B=1\r\rc\x00 C=1\x00\x00d\n\r D=1\n\r\n\r" +
			"é\n Ü=ß\n\n*\n X=*\n\n\tx\n X=tab\n\nv \n V=stripped\n",
		"usr/lib/udev/hwdb.d/50-hidden.hwdb":                                    "usb:hidden\n HIDDEN=1\n",
		"usr/lib/udev/hwdb.d/60-long.hwdb":                                      "long\n LONG=1\n" + strings.Repeat("x", 1<<20) + "\n LOST=1\n",
		"usr/lib/udev/hwdb.d/70-empty.hwdb":                                     "",
		"usr/lib/udev/hwdb.d/readme":                                            "readme\n README=1\n",
		"etc/udev/hwdb.d/50-hidden.hwdb":                                        "usb:hides\n HIDES=1\n",
		"etc/udev/hwdb.d/15-local.hwdb":                                         "usb:v1D6B*\n LOCAL=1\n ID_VENDOR=early\n\nevdev:*\n KEY_1=all\n",
		"usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-" + version + ".so": "",
	} {
		treetest.Write(t, filepath.Join(root, name), text)
	}
	if err := os.Symlink("usr/lib", filepath.Join(root, "lib")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "etc/udev/hwdb.d/80-folder.hwdb"), 0o755); err != nil {
		t.Fatal(err)
	}
	treetest.Write(t, filepath.Join(root, "etc/udev/hwdb.d/90-last.hwdb"), "behind the folder\n BEHIND=1\n")
}

// TestLikeSystemdHwdb compares the database with that of the machine's systemd-hwdb.
func TestLikeSystemdHwdb(t *testing.T) {
	command := []string{oracle.Need(t, "systemd-hwdb")}
	if other := strings.Fields(os.Getenv("DELTAUP_SYSTEMD_HWDB")); len(other) > 0 {
		command = other
	}
	out, err := exec.Command(command[0], append(command[1:], "--version")...).Output()
	version := regexp.MustCompile(`^systemd ([0-9]+)`).FindSubmatch(out)
	if err != nil || version == nil {
		t.Fatalf("systemd-hwdb --version says %q: %v", out, err)
	}
	root := t.TempDir()
	populate(t, root, string(version[1]))
	got, err := build(treetest.Open(t, root), root)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(command[0], append(command[1:], "update", "-r", root)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(root, localPath))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes %q\nwant %d bytes %q", len(got), tail(got), len(want), tail(want))
	}
}

func tail(b []byte) []byte { return b[max(0, len(b)-2000):] }

// TestGolden makes databases whose bytes, but for the paths, were also those of these versions.
func TestGolden(t *testing.T) {
	for version, want := range map[string]string{
		"252": "5e7e164e3f967a6eee9db8f3656150d96ca2ec538ff2149578e02825df7fcb32", "257": "6fddde608f0b36b2ee073e4b95e0166b63681816334216c97e7fe43a778a65b4",
	} {
		root := t.TempDir()
		populate(t, root, version)
		b, err := Build(treetest.Open(t, root))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(b)); got != want {
			t.Errorf("systemd %s: %s, want %s", version, got, want)
		}
		if !bytes.Contains(b, []byte("\x00/usr/lib/udev/hwdb.d/20-a.hwdb\x00")) {
			t.Errorf("systemd %s: the paths are wrong", version)
		}
	}
}

// TestNone makes no database where there are no texts, and demands a known systemd.
func TestNone(t *testing.T) {
	root := t.TempDir()
	treetest.Write(t, filepath.Join(root, "usr/lib/systemd/libsystemd-shared-257.7-1.fc42.so"), "")
	if b, err := Build(treetest.Open(t, root)); b != nil || err != nil {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	for _, name := range []string{"libsystemd-shared-245.so", "libsystemd-core-257.so"} {
		root := t.TempDir()
		treetest.Write(t, filepath.Join(root, "usr/lib/systemd", name), "")
		if _, err := Build(treetest.Open(t, root)); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzFile demands of every text a database in which all properties are found again.
func FuzzFile(f *testing.F) {
	f.Add([]byte("usb:v1*\nusb:v12*\n A=1\n  B=2 # x\n\nusb:\n A=\n\x00\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b := &builder{strings: systemd.NewStrings(), root: &node{}}
		if err := b.file("/f", 1, text); err != nil {
			t.Fatal(err)
		}
		db := b.encode(257)
		if n := binary.LittleEndian.Uint64(db[16:]); n != uint64(len(db)) {
			t.Fatalf("%d bytes, the header says %d", len(db), n)
		}
		found := 0
		walk(t, db, binary.LittleEndian.Uint64(db[56:]), &found)
		if found > b.values {
			t.Fatalf("%d properties in the database, %d in the text", found, b.values)
		}
	})
}

// walk counts the properties of a node and those below it.
func walk(t *testing.T, db []byte, at uint64, found *int) {
	le := binary.LittleEndian
	children, values := int(db[at+8]), int(le.Uint64(db[at+16:]))
	text := func(off uint64) string {
		end := bytes.IndexByte(db[off:], 0)
		return string(db[off : off+uint64(end)])
	}
	text(le.Uint64(db[at:]))
	entry := at + nodeSize
	letter := -1
	for range children {
		if int(db[entry]) <= letter {
			t.Fatal("the letters are not in order")
		}
		letter = int(db[entry])
		walk(t, db, le.Uint64(db[entry+8:]), found)
		entry += childSize
	}
	key := ""
	for range values {
		k := text(le.Uint64(db[entry:]))
		if k <= key || !strings.HasPrefix(k, " ") && !strings.HasPrefix(k, "\t") {
			t.Fatalf("key %q behind %q", k, key)
		}
		key = k
		if text(le.Uint64(db[entry+16:])) != "/f" {
			t.Fatal("a property of another file")
		}
		*found++
		entry += valueSize
	}
}
