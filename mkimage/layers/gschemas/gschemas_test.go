package gschemas

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/internal/test/oracle"
	"deltaup/internal/test/treetest"
)

// schemas have what the program takes apart.
var schemas = map[string]string{
	"z.enums.xml": `<schemalist><enum id="e"><value nick="one" value="1"/><value nick="a-longer-name" value="-2"/>
<value nick="xy" value="0x10"/></enum><flags id="f"><value nick="none" value="0"/><value nick="first" value="1"/>
<value nick="last" value="0x80000000"/></flags></schemalist>`,
	"a.gschema.xml": `<?xml version="1.0"?><!-- c --><schemalist gettext-domain="dom"><schema id="org.a" path="/org/a/" xml:lang="x">
<key name="bool" type="b"><default>true</default><summary>S &amp; s</summary><description>D <![CDATA[<d>]]></description></key>
<key name="text" type="s"><default l10n="messages" context="ctx"> 'Hello, "w"\u00e4\n' </default></key>
<key name="when" type="s"><default l10n="time">"24h\'"</default></key>
<key name="byte" type="y"><default>0xff</default></key><key name="i16" type="n"><default>-0x10</default></key>
<key name="u16" type="q"><default>017</default></key><key name="i32" type="i"><range min="-5" max="5"/><default>-5</default></key>
<key name="u32" type="u"><default>uint32 7</default><range max="10"/></key><key name="i64" type="x"><default>-9223372036854775808</default></key>
<key name="u64" type="t"><default>18446744073709551615</default><range/></key>
<key name="dbl" type="d"><default>1e-3</default><range min="-1.5"/></key><key name="dbl2" type="d"><default>1</default></key>
<key name="list" type="as"><default>['a', "b",'']</default></key><key name="none" type="as"><default>[]</default></key>
<key name="typed" type="as"><default>@as []</default></key><key name="nested" type="aas"><default>[['a'],[],['b','c']]</default></key>
<key name="tuple" type="(siub)"><default>('x', 1, 2, true)</default></key><key name="fixed" type="(yiq)"><default>(1,2,3)</default></key>
<key name="one" type="(s)"><default>('x',)</default></key><key name="unit" type="()"><default>()</default></key>
<key name="dict" type="a{sv}"><default>{'a': &lt;1&gt;, 'b': &lt;'x'&gt;,'c':&lt;true&gt;, 'd': &lt;1.5&gt;, 'e': &lt;['x','y']&gt;, 'f': &lt;@as []&gt;, 'g': &lt;uint32 5&gt;, 'h': &lt;&lt;3&gt;&gt;, 'i': &lt;[1,2]&gt;, 'j': &lt;int64 9&gt;}</default></key>
<key name="dict2" type="a{ss}"><default>{}</default></key><key name="dict3" type="a{ui}"><default>{1:-1, 2:-2}</default></key>
<key name="dict4" type="a(ss)"><default>[('a','b'),('cc','')]</default></key><key name="entries" type="a{si}"><default>[{'a',1},{'b',2}]</default></key>
<key name="may" type="ms"><default>nothing</default></key><key name="may2" type="ms"><default>just 'x'</default></key>
<key name="may3" type="mi"><default>5</default></key><key name="may4" type="ami"><default>[1, nothing]</default></key>
<key name="variant" type="v"><default>&lt;'v'&gt;</default></key><key name="ints" type="ai"><default>[1,-2,0x3]</default></key>
<key name="doubles" type="ad"><default>[1.0,2,inf]</default></key><key name="bools" type="ab"><default>[true,false]</default></key>
<key name="choice" type="s"><choices><choice value="x"/><choice value="yyy"/><choice value="zzzzzz"/></choices><aliases><alias value="q" target="yyy"/></aliases><default>'x'</default></key>
<key name="choices" type="as"><default>['x','y']</default><choices><choice value="x"/><choice value="y"/></choices></key>
<key name="enum" enum="e"><default>'one'</default><aliases><alias value="uno" target="one"/></aliases></key>
<key name="flags" flags="f"><default>['first','last']</default></key><key name="long" type="s"><default>'` + strings.Repeat("x", 300) + `'</default></key>
<key name="longs" type="as"><default>['` + strings.Repeat("y", 260) + `','']</default></key>
<child name="kid" schema="org.kid"/><q:key xmlns:q="http://q" name="left"><q:default>out</q:default></q:key>
</schema>
<schema id="org.kid" gettext-domain="other"><key name="k" type="s"><default l10n="messages">'kid'</default></key><key name="n" type="i"><range min="0" max="9"/><default>3</default></key></schema>
<schema id="org.more" extends="org.kid" path="/org/more/"><override name="k">'more'</override><override name="n">4</override><key name="m" type="i"><default>1</default></key></schema>
<schema id="org.list" list-of="org.kid" path="/org/list:/"/><schema id="org.empty"/></schemalist>`,
	"b.gschema.xml": `<schemalist><schema id="org.b"><key name="b" enum="e"><default>'xy'</default></key></schema></schemalist>`,
	"10.gschema.override": "# other defaults\n[org.a]\nbool=false\nlist=['over']\nno-such=1\ntext='over'\n[org.none]\nx=1\n" +
		"[org.a:GNOME]\nbool=true\nenum='one'\n[org.a:KDE]\nbool=false\nlist=['kde']\n[org.a:X]\nbool=true\n",
	"20.gschema.override": "[org.a]\nlist=['later','one']\n",
	"readme":              "none",
}

// TestLikeGlibCompileSchemas compares the database with that of the machine's program, or that which
// DELTAUP_GLIB_COMPILE_SCHEMAS says: of the schemas above, and of the machine's.
func TestLikeGlibCompileSchemas(t *testing.T) {
	command := strings.Fields(os.Getenv("DELTAUP_GLIB_COMPILE_SCHEMAS"))
	if len(command) == 0 {
		command = []string{oracle.Need(t, "glib-compile-schemas")}
	}
	machine := os.Getenv("DELTAUP_SCHEMAS")
	if machine == "" {
		machine = "/" + folder
	}
	for _, kind := range []string{"made", "machine"} {
		t.Run(kind, func(t *testing.T) {
			root := t.TempDir()
			treetest.Write(t, filepath.Join(root, "usr/bin/glib-compile-schemas"), "")
			if kind == "made" {
				for name, text := range schemas {
					treetest.Write(t, filepath.Join(root, folder, name), text)
				}
			} else if _, err := os.Stat(machine); err != nil {
				t.Skip(err)
			} else if err := os.CopyFS(filepath.Join(root, folder), os.DirFS(machine)); err != nil {
				t.Fatal(err)
			}
			got, err := Build(treetest.Open(t, root))
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(command[0], append(command[1:], filepath.Join(root, folder))...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			want, err := os.ReadFile(filepath.Join(root, Path))
			if err != nil {
				t.Skip(err) // there are no schemas
			}
			if !bytes.Equal(got, want) {
				i := 0
				for i < min(len(got), len(want)) && got[i] == want[i] {
					i++
				}
				t.Errorf("they differ at %d of %d and %d bytes: %q, want %q; %s", i, len(got), len(want),
					got[max(0, i-60):min(i+60, len(got))], want[max(0, i-60):min(i+60, len(want))], out)
			}
		})
	}
}

// TestGolden makes a database whose bytes were also those of GLib 2.74 and 2.84.
func TestGolden(t *testing.T) {
	root := t.TempDir()
	if b, err := Build(treetest.Open(t, root)); b != nil || err != nil {
		t.Errorf("nothing: %d bytes, %v", len(b), err)
	}
	for name, text := range schemas {
		treetest.Write(t, filepath.Join(root, folder, name), text)
	}
	if _, err := Build(treetest.Open(t, root)); !errors.Is(err, ErrUnknown) {
		t.Errorf("without the program: %v", err)
	}
	treetest.Write(t, filepath.Join(root, "usr/lib/x86_64-linux-gnu/glib-2.0/glib-compile-schemas"), "")
	b, err := Build(treetest.Open(t, root))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	if got := hex.EncodeToString(sum[:]); got != "80602bdfb29f3f9ff09e5d1b4e3db8e7ef229740e9e1aba6c27144296c32e7d1" {
		t.Error(got)
	}
}

// TestWrong demands an error for schemas that the program leaves out.
func TestWrong(t *testing.T) {
	in := func(inner string) string {
		return `<schemalist><schema id="a">` + inner + `</schema></schemalist>`
	}
	for _, text := range []string{
		`<schemalist>`, `<other/>`, in(`text`), in(`<key name="A" type="i"><default>1</default></key>`),
		in(`<key name="a" type="i"/>`), in(`<key name="a" type="r"><default>1</default></key>`),
		in(`<key name="a" type="i"><default>x</default></key>`), in(`<key name="a" type="y"><default>256</default></key>`),
		in(`<key name="a" type="y"><default>-1</default></key>`), in(`<key name="a" type="i"><default>1 2</default></key>`),
		in(`<key name="a" type="i" x="y"><default>1</default></key>`), in(`<key type="i"><default>1</default></key>`),
		in(`<key name="a" enum="none"><default>1</default></key>`), in(`<key name="a" type="i"><range max="3"/><default>4</default></key>`),
		in(`<key name="a" type="s"><choices><choice value="x"/></choices><default>'y'</default></key>`),
		in(`<key name="a" type="s"><default l10n="messages">'y'</default></key>`),
		in(`<override name="a">1</override>`), in(`<key name="a" type="as"><default>['a'</default></key>`),
		in(`<key name="a" type="v"><default>` + strings.Repeat("&lt;", 100) + `</default></key>`),
		in(`<key name="a" type="` + strings.Repeat("a", 100) + `s"><default>1</default></key>`),
		`<schemalist><schema id="a" path="x/"/></schemalist>`, `<schemalist><schema id="a"/><schema id="a"/></schemalist>`,
		`<schemalist><schema id="a" extends="b"/></schemalist>`, `<schemalist><enum id="a"/></schemalist>`,
		`<schemalist><flags id="a"><value nick="xy" value="3"/></flags></schemalist>`,
	} {
		if err := new(compiler).load([]byte(text)); !errors.Is(err, ErrText) {
			t.Errorf("%s: %v", text, err)
		}
	}
	c := &compiler{}
	if err := c.load([]byte(in(`<key name="a" type="i"><range max="3"/><default>1</default></key>`))); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"x", "[a]\na=4\n", "[a]\na=x\n", "[a:D]\na=9"} {
		if err := c.override(text); !errors.Is(err, ErrText) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzLoad demands of every schema a database whose root is inside it.
func FuzzLoad(f *testing.F) {
	for _, text := range schemas {
		f.Add([]byte(text), schemas["10.gschema.override"])
	}
	f.Fuzz(func(t *testing.T, text []byte, override string) {
		c := &compiler{}
		if err := errors.Join(c.load(text), c.override(override)); err != nil {
			if !errors.Is(err, ErrText) {
				t.Fatal(err)
			}
			return
		}
		b, err := c.encode()
		if err != nil {
			t.Fatal(err)
		}
		start, end := binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint32(b[20:])
		if start != gvdbHeader || end < start || end > uint32(len(b)) {
			t.Errorf("a root from %d to %d of %d", start, end, len(b))
		}
	})
}

// FuzzParseValue demands of every value that its parts are inside it.
func FuzzParseValue(f *testing.F) {
	f.Add("as", "['a', \"b\"]")
	f.Add("a{sv}", "{'a': <1>, 'b': <@as []>}")
	f.Add("a{sb}", "{'':")
	f.Add("(yms)", "(0x1, just 'x')")
	f.Fuzz(func(t *testing.T, kind, source string) {
		if !isType(kind) {
			return
		}
		v, err := parseValue(kind, source)
		if err != nil {
			return
		}
		if _, size := layout(kind); v.kind != kind || size > 0 && len(v.data) != size {
			t.Fatalf("%s has %d bytes of %s", source, len(v.data), v.kind)
		}
		if strings.TrimLeft(kind, "am") == "s" {
			oneOf(v, nil)
		}
	})
}
