package fontcache

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/gofont/gosmallcaps"

	"deltaup/internal/test/fonttest"
	"deltaup/internal/test/treetest"
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
