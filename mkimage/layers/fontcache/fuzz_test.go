package fontcache

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/font/gofont/goitalic"

	"deltaup/internal/test/fonttest"
	"deltaup/internal/test/treetest"
	"deltaup/mkimage/internal/lookup"
)

// tinyFonts are small fonts of all kinds that are read, by the names of files.
func tinyFonts() map[string][]byte {
	type tables = map[string][]byte
	fonts := map[string][]byte{
		"true.ttf": tinyTrueType(tables{"GSUB": tinyLayout(), "GPOS": tinyLayout()}), "packed.woff": woff(tinyTrueType(nil)),
		"moved.ttf": tinyVaried(nil), "far.ttf": tinyVaried(tables{"gvar": tinyMoves(true), "avar": tinyBends()}),
		"wide0.ttf": tinyVaried(tables{"HVAR": tinyWidths(0)}), "wide1.ttf": tinyVaried(tables{"HVAR": tinyWidths(1)}),
		"wide2.ttf":   tinyVaried(tables{"HVAR": tinyWidths(2), "avar": tinyBends()}),
		"one.otf":     tinyOpenType(tables{"CFF ": tinyCFF(-1)}),
		"several.otf": tinyOpenType(tables{"CFF ": tinyCFF(0)}), "ranges.otf": tinyOpenType(tables{"CFF ": tinyCFF(3)}),
		"one2.otf":     tinyOpenType(tables{"CFF2": tinyCFF2(-1), "fvar": tinyAxes(), "HVAR": tinyWidths(0)}),
		"ranges2.otf":  tinyOpenType(tables{"CFF2": tinyCFF2(3), "fvar": tinyAxes()}),
		"both.ttc":     collection(tinyTrueType(nil), tinyOpenType(tables{"CFF ": tinyCFF(-1)})),
		"segments.pfb": tinyPFB(), "digits.pfa": tinyPFA(),
		"bits.pcf":    tinyPCF("ISO10646", "1", bitmapProperties, "FAMILY_NAME", "PIXEL_SIZE", "SPACING"),
		"bits.pcf.gz": gzipped(tinyPCF("ISO8859", "1", bitmapProperties, "POINT_SIZE")),
	}
	for i, chars := range charTables() {
		fonts[fmt.Sprintf("chars%d.ttf", i)] = tinyTrueType(tables{"cmap": chars})
	}
	return fonts
}

// TestTinyFonts demands that the small fonts are read.
func TestTinyFonts(t *testing.T) {
	r := releases[21500]
	r.freetype = freetypes["libfreetype.so.6.20.2"]
	for name, content := range tinyFonts() {
		list, err := r.patterns(inMemory(content), "/f")
		if err != nil || len(list) == 0 {
			t.Errorf("%s: %d patterns, %v", name, len(list), err)
		}
	}
}

// fuzzSteps is what reading a fuzzed font may cost: the tiny ones need less than a tenth of it.
const fuzzSteps = 1 << 20

// FuzzFont reads fonts, and demands a cache of whatever is read, and that no reader but those of
// libraries panics.
func FuzzFont(f *testing.F) {
	fonts := tinyFonts()
	for _, name := range slices.Sorted(maps.Keys(fonts)) {
		f.Add(fonts[name])
	}
	strikes := tinyStrikes()
	f.Add(tinyTrueType(strikes))
	delete(strikes, "glyf")
	strikes["CBLC"], strikes["CBDT"] = strikes["EBLC"], words(3, 0)
	f.Add(tinyTrueType(strikes))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, r := range releases {
			in := inMemory(content)
			in.steps = min(in.steps, fuzzSteps)
			fonts, err := ownPatterns(t, &r, in)
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

// ownPatterns is release.patterns that passes on the panics of this package.
func ownPatterns(t *testing.T, r *release, in *source) (list []pattern, err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		list, err = nil, fmt.Errorf("%w: %v", errUnread, p)
		callers := make([]uintptr, 64)
		frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
		for more := true; more; { // the first that is not Go's own has panicked
			var at runtime.Frame
			at, more = frames.Next()
			if strings.HasPrefix(at.Function, "deltaup/") {
				t.Fatalf("%v at %s:%d", p, at.File, at.Line)
			}
			if strings.Contains(at.Function, ".com/") {
				return
			}
		}
	}()
	return r.readPatterns(in, "/f")
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
