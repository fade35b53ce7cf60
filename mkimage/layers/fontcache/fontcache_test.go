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
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/gofont/gosmallcaps"

	"deltaup/internal/test/fonttest"
	"deltaup/internal/test/oracle"
	"deltaup/internal/test/treetest"
	"deltaup/mkimage/internal/lookup"
)

// scanRules are rules for scanned fonts.
const scanRules = `<fontconfig>
<match target="scan">
	<test name="family" compare="eq" ignore-blanks="true"><string>gomono</string></test>
	<edit name="foundry"><string>changed</string></edit>
	<edit name="family" mode="append"><string>Mono of Go</string><string>Other</string></edit>
	<edit name="weight" mode="assign"><const>bold</const></edit>
</match>
<match target="scan">
	<test name="fullname" qual="first" compare="contains"><string>italic</string></test>
	<test name="weight" compare="not_eq"><int>200</int></test>
	<edit name="style" mode="prepend_first"><string>First</string></edit>
	<edit name="decorative" mode="assign"><bool>true</bool></edit>
	<edit name="capability" mode="delete_all"/>
</match>
<match target="scan">
	<test name="capability" qual="all"><string>none</string></test>
	<test name="slant"><const>roman</const></test>
	<edit name="family" mode="assign_replace"><string>Replaced</string></edit>
	<edit name="width" mode="append_last"><double>75.5</double></edit>
	<edit name="style" mode="prepend" binding="strong"><string>Style</string></edit>
</match>
<match target="pattern"><test name="family"><string>x</string></test></match>
</fontconfig>
`

// collection gives some fonts as one file.
func collection(fonts ...[]byte) []byte {
	head := []byte("ttcf\x00\x01\x00\x00\x00\x00\x00")
	head = append(head, byte(len(fonts)))
	at := 12 + 4*len(fonts)
	var body []byte
	for _, f := range fonts {
		head = append(head, byte(at>>24), byte(at>>16), byte(at>>8), byte(at))
		f = bytes.Clone(f)
		for i := range int(f[5]) { // tables count from the file's begin
			o := f[12+16*i+8:]
			n := int(o[0])<<24 | int(o[1])<<16 | int(o[2])<<8 | int(o[3]) + at
			o[0], o[1], o[2], o[3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
		}
		body, at = append(body, f...), at+len(f)
	}
	return append(head, body...)
}

// bitmapProperties are what bitmap fonts may tell.
var bitmapProperties = map[string]any{
	"FOUNDRY": "Maker", "FAMILY_NAME": "Bits", "WEIGHT_NAME": "Bold", "SLANT": "O", "SETWIDTH_NAME": "Semi Condensed",
	"ADD_STYLE_NAME": "Sans Serif", "PIXEL_SIZE": 13, "POINT_SIZE": 120, "AVERAGE_WIDTH": 130, "SPACING": "P", "RESOLUTION_Y": 75,
	"RELATIVE_SETWIDTH": 70,
}

// populate makes folders with fonts below base, a path of root, and the settings for them.
func populate(t testing.TB, root, base string, version uint32) {
	t.Helper()
	treetest.Write(t, filepath.Join(root, "usr/bin/fc-cache"), "")
	treetest.Write(t, filepath.Join(root, "usr/lib/x86_64-linux-gnu/libfontconfig.so.1"), string(fonttest.Library(version)))
	treetest.Write(t, filepath.Join(root, "usr/lib/x86_64-linux-gnu", fonttest.FreeType(version)), "")
	if err := os.Symlink(fonttest.FreeType(version), filepath.Join(root, "usr/lib/x86_64-linux-gnu/libfreetype.so.6")); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(">/usr", ">"+base+"/usr", ">/var", ">"+base+"/var",
		"<include", "<dir>"+base+"/usr/share/more//</dir><dir>"+base+"/none</dir><include").Replace(fonttest.Config)
	treetest.Write(t, filepath.Join(root, "etc/fonts/fonts.conf"), text)
	treetest.Write(t, filepath.Join(root, "etc/fonts/conf.d/50-scan.conf"), scanRules)
	treetest.Write(t, filepath.Join(root, "etc/fonts/conf.d/README"), "no settings")
	fonts := filepath.Join(root, base, "usr/share/fonts")
	for name, content := range map[string]string{
		"Go/Go-Bold.ttf": string(gobold.TTF), "Go/Go-Italic.ttf": string(goitalic.TTF), "Go/Go-Mono.ttf": string(gomono.TTF),
		"Go/.hidden.ttf": string(goregular.TTF), "Go/readme": "a text", "Go/empty.ttf": "",
		"Go/all.ttc":   string(collection(goregular.TTF, gosmallcaps.TTF, gobold.TTF)),
		"old/Tiny.pfb": string(tinyPFB()), "old/Tiny.pfa": string(tinyPFA()), "old/Go.woff": string(woff(goregular.TTF)),
		"old/x.pcf.gz": string(gzipped(tinyPCF("ISO10646", "1", bitmapProperties,
			"FOUNDRY", "FAMILY_NAME", "WEIGHT_NAME", "SLANT", "SETWIDTH_NAME", "ADD_STYLE_NAME", "PIXEL_SIZE", "POINT_SIZE", "AVERAGE_WIDTH", "SPACING"))),
		"old/y.pcf": string(tinyPCF("iso8859", "1", bitmapProperties, "FAMILY_NAME", "POINT_SIZE", "RESOLUTION_Y", "RELATIVE_SETWIDTH")),
		"old/z.pcf": string(tinyPCF("misc", "fontspecific", bitmapProperties, "PIXEL_SIZE")), "old/none.gz": string(gzipped([]byte("no font"))),
		"deep/er/Go-Regular.ttf": string(goregular.TTF), "deep/none": "x", "../more/Go-Small.ttf": string(gosmallcaps.TTF),
	} {
		treetest.Write(t, filepath.Join(fonts, name), content)
	}
	for name, target := range map[string]string{"link": "deep/er", "Go/zlink.ttf": "../deep/er/Go-Regular.ttf", "gone": "none"} {
		if err := os.Symlink(target, filepath.Join(fonts, name)); err != nil {
			t.Fatal(err)
		}
	}
	setTimes(t, filepath.Join(root, base, "usr/share"))
}

// setTimes gives each folder a time of its own.
func setTimes(t testing.TB, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		at := time.Unix(1_600_000_000+int64(len(name)-len(dir)), 0)
		return os.Chtimes(name, at, at)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestLikeFcCache compares the caches with those of the machine's fc-cache, or of that which
// DELTAUP_FC_CACHE says: of the fonts above, and of the machine's, or those of DELTAUP_FONTS.
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

// FuzzFont reads fonts, and demands a cache of whatever is read.
func FuzzFont(f *testing.F) {
	f.Add([]byte(goregular.TTF))
	f.Add(collection(gomono.TTF, gobold.TTF))
	f.Add(tinyPFB())
	f.Add(tinyPFA())
	f.Add(tinyPCF("ISO10646", "1", bitmapProperties, "FAMILY_NAME", "PIXEL_SIZE", "SPACING"))
	f.Add(gzipped(tinyPCF("ISO8859", "1", bitmapProperties, "POINT_SIZE")))
	f.Add(woff(gomono.TTF))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, r := range releases {
			fonts, err := r.patterns(inMemory(content), "/f")
			if err != nil {
				if !errors.Is(err, errUnread) && !errors.Is(err, errNoFont) {
					t.Fatal(err)
				}
				continue
			}
			c := &config{}
			for _, p := range fonts {
				if err := c.substitute(p); err != nil {
					t.Fatal(err)
				}
			}
			if b := encode(r.cache, "/", 1, nil, fonts); len(b)%8 != 0 {
				t.Fatalf("%d bytes", len(b))
			}
		}
	})
}

// FuzzConfig reads settings and applies their rules.
func FuzzConfig(f *testing.F) {
	f.Add(fonttest.Config)
	f.Add(scanRules)
	r := releases[fonttest.Release]
	fonts, err := r.patterns(inMemory(goitalic.TTF), "/f")
	if err != nil {
		f.Fatal(err)
	}
	root := lookup.New(treetest.Open(f, f.TempDir()))
	f.Fuzz(func(t *testing.T, text string) {
		c := &config{root: root, read: map[string]bool{}}
		if c.parse([]byte(text), "/etc/fonts/x.conf", 0) != nil {
			return
		}
		p := pattern{}
		for o, v := range fonts[0] {
			p[o] = slices.Clone(v)
		}
		if err := c.substitute(p); err != nil && !errors.Is(err, errUnread) {
			t.Fatal(err)
		}
	})
}

// FuzzLibrary reads the version of libraries.
func FuzzLibrary(f *testing.F) {
	f.Add(fonttest.Library(fonttest.Release))
	f.Fuzz(func(t *testing.T, b []byte) {
		if version, err := libraryVersion(b); err == nil && !bytes.Contains(b, []byte("FcGetVersion\x00")) {
			t.Fatal(version)
		}
	})
}
