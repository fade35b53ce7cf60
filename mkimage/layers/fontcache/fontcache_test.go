package fontcache

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/image/font/gofont/goregular"

	"deltaup/internal/test/fonttest"
	"deltaup/internal/test/oracle"
	"deltaup/internal/test/treetest"
)

// TestLikeFcCache compares the caches with those of the machine's fc-cache, or of that which
// DELTAUP_FC_CACHE says: of the fonts of populate, of the tiny ones, and of the machine's, or those
// of DELTAUP_FONTS.
func TestLikeFcCache(t *testing.T) {
	command := strings.Fields(os.Getenv("DELTAUP_FC_CACHE"))
	if len(command) == 0 {
		command = []string{oracle.Need(t, "fc-cache")}
	}
	out, err := exec.Command(command[0], append(command[1:], "--version")...).CombinedOutput()
	m := regexp.MustCompile(`version (\d+)\.(\d+)\.(\d+)`).FindSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("%v: %s", err, out)
	}
	version := 0
	for _, n := range m[1:] {
		part, _ := strconv.Atoi(string(n)) // only digits
		version = version*100 + part
	}
	machine := os.Getenv("DELTAUP_FONTS")
	if machine == "" {
		machine = "/usr/share/fonts"
	}
	// The program finds the same files at the same paths as in the tree, which is below it.
	base := t.TempDir()
	root := filepath.Join(base, "tree")
	for _, r := range []string{root, ""} {
		dir := filepath.Join(r, base)
		treetest.Write(t, filepath.Join(dir, "usr/share/fonts/readme"), "")
		if out, err := exec.Command("cp", "-rL", machine, filepath.Join(dir, "usr/share/fonts/machine")).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for name, content := range tinyFonts() {
		for _, r := range []string{root, ""} {
			treetest.Write(t, filepath.Join(r, base, "usr/share/fonts/tiny", name, name), string(content))
		}
	}
	populate(t, root, base, uint32(version))
	if out, err := exec.Command("cp", "-a", filepath.Join(root, base, "usr"), base).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	setTimes(t, filepath.Join(base, "usr/share"))
	files, notes, err := Build(treetest.Open(t, root))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(command[0], append(command[1:], "-s", "-f")...)
	c.Env = append(os.Environ(), "FONTCONFIG_FILE="+filepath.Join(root, "etc/fonts/fonts.conf"),
		"FONTCONFIG_PATH="+filepath.Join(root, "etc/fonts"))
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, f := range files {
		want, err := os.ReadFile("/" + f.Path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(f.Content, want) {
			t.Errorf("%s: %d bytes, want %d", f.Path, len(f.Content), len(want))
		}
	}
	all, err := os.ReadDir(filepath.Join(base, "var/cache/fontconfig"))
	if err != nil || len(files)+len(notes) != len(all) {
		t.Errorf("%d files and %d notes, want %d together, %v", len(files), len(notes), len(all), err)
	}
	if len(files) < 7 {
		t.Errorf("%d files", len(files))
	}
	for _, n := range notes {
		if strings.Contains(n, "/usr/share/fonts/tiny/") {
			t.Error(n)
		}
	}
	t.Logf("%d files are the same; %q", len(files), notes)
}

// TestWholeRoot compares the caches of the tree that DELTAUP_FONTS_ROOT says with those that it
// has: its own fc-cache has made them.
func TestWholeRoot(t *testing.T) {
	root := os.Getenv("DELTAUP_FONTS_ROOT")
	if root == "" {
		t.Skip("DELTAUP_FONTS_ROOT says no tree")
	}
	files, notes, err := Build(treetest.Open(t, root))
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for _, f := range files {
		want, err := os.ReadFile(filepath.Join(root, f.Path))
		if err != nil || !bytes.Equal(f.Content, want) {
			t.Errorf("%s: %d bytes, want %d, %v", f.Path, len(f.Content), len(want), err)
			continue
		}
		same++
	}
	t.Logf("%d of %d files are the same, and there are %d notes", same, len(files), len(notes))
	for _, n := range notes {
		t.Log(n)
	}
}

// TestGolden makes caches whose bytes, but for the paths, were also those of these versions.
func TestGolden(t *testing.T) {
	for version, want := range map[uint32]string{
		21401: "52cc106cc9649a644b892a16b231d9e64b2f585c1e386aeb4a75c334a36f1abb", 21500: "d3c3f8b434bbad2d58cd98d22cef53226c436b2980c8804898877cfb2ce3664a",
	} {
		root := t.TempDir()
		populate(t, root, "", version)
		files, notes, err := Build(treetest.Open(t, root))
		if err != nil || len(notes) != 0 {
			t.Fatal(notes, err)
		}
		sum := sha256.New()
		var paths []string
		for _, f := range files {
			sum.Write(f.Content)
			paths = append(paths, f.Path)
		}
		if len(paths) != 8 || paths[1] != "var/cache/fontconfig/3830d5c3ddfd5cd38a049b759396e72e-le64.cache-"+map[uint32]string{21401: "8", 21500: "9"}[version] {
			t.Error(paths)
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != want {
			t.Errorf("%d: %s, want %s", version, got, want)
		}
	}
}

// TestUnread demands that a folder with a font that is not read has no cache, and its folders have.
func TestUnread(t *testing.T) {
	packed := woff(goregular.TTF)
	packed[len(packed)-8] ^= 1
	twice := bytes.Clone(goregular.TTF)
	copy(twice[12:], twice[28:44])
	for name, content := range map[string]string{
		"x.woff": string(packed), "twice.ttf": string(twice), "x.pfa": strings.Replace(string(tinyPFA()), "[0.001 0", "[x 0", 1),
		"y.pfa": strings.Replace(string(tinyPFA()), "/FontType", "} /FontType", 1), "z.pfb": string(tinyPFB()[:1000]),
		"x.pcf": string(tinyPCF("iso10646", "1", bitmapProperties, "PIXEL_SIZE", "SPACING", "SPACING")),
		"x.bdf": "STARTFONT 2.1\n", "x.woff2": "wOF2", "x.ttf": string(goregular.TTF[:20000]),
		"y.ttf": "\x00\x01\x00\x00", "._readme": "", "y.pfr": "PFR0",
	} {
		root := t.TempDir()
		populate(t, root, "", fonttest.Release)
		treetest.Write(t, filepath.Join(root, "usr/share/fonts/deep/readme"), "")
		treetest.Write(t, filepath.Join(root, "usr/share/fonts/deep", name), content)
		files, notes, err := Build(treetest.Open(t, root))
		if err != nil || len(files) != 7 || len(notes) != 1 || !strings.HasPrefix(notes[0], "no font cache for /usr/share/fonts/deep: ") {
			t.Errorf("%s: %d files, %q, %v", name, len(files), notes, err)
		}
	}
}

// TestNone makes nothing without the program, and demands a known one and settings that it knows.
func TestNone(t *testing.T) {
	root := t.TempDir()
	populate(t, root, "", fonttest.Release)
	if err := os.Remove(filepath.Join(root, "usr/bin/fc-cache")); err != nil {
		t.Fatal(err)
	}
	if files, notes, err := Build(treetest.Open(t, root)); files != nil || notes != nil || err != nil {
		t.Errorf("%d files, %q, %v", len(files), notes, err)
	}
	wrong := func(path, text string) {
		t.Helper()
		root := t.TempDir()
		populate(t, root, "", fonttest.Release)
		treetest.Write(t, filepath.Join(root, path), text)
		if files, _, err := Build(treetest.Open(t, root)); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %d files, %v", path, len(files), err)
		}
	}
	const library = "usr/lib/x86_64-linux-gnu/libfontconfig.so.1"
	wrong(library, string(fonttest.Library(21600)))
	wrong(library, "no library")
	wrong(library, string(fonttest.Library(fonttest.Release)[:200]))
	for _, text := range []string{
		"<fontconfig>", "<other/>", "<fontconfig><cachedir>relative</cachedir></fontconfig>", "<fontconfig/><fontconfig/>",
		"<fontconfig><remap-dir as-path='/a'>/b</remap-dir></fontconfig>", "<fontconfig><dir salt='x'>/b</dir></fontconfig>",
		"<fontconfig><include>none</include></fontconfig>", "<fontconfig><dir> /b</dir></fontconfig>",
		"<fontconfig><match target='scan'><test name='lang'><string>de</string></test></match></fontconfig>",
		"<fontconfig><match target='scan'><test name='family'><int>1</int></test></match></fontconfig>",
		"<fontconfig><match target='scan'><edit name='family' mode='delete'/></match></fontconfig>",
		"<fontconfig><match target='scan'><edit name='weight'><const>normal</const></edit></match></fontconfig>",
	} {
		wrong("etc/fonts/conf.d/60-wrong.conf", text)
	}
}
