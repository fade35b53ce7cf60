package mime

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/internal/test/oracle"
	"deltaup/internal/test/treetest"
)

// populate makes the programs of a tree, and descriptions.
func populate(t testing.TB, root, version string, texts map[string]string) {
	t.Helper()
	treetest.Write(t, filepath.Join(root, "usr/bin/update-mime-database"), "")
	treetest.Write(t, filepath.Join(root, "usr/share/pkgconfig/shared-mime-info.pc"), "Name: x\nVersion: "+version+"\n")
	for name, text := range texts {
		treetest.Write(t, filepath.Join(root, mimeFolder, "packages", name), text)
	}
}

const head = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
	`<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">` + "\n"

// descriptions have what the program takes apart.
var descriptions = map[string]string{
	"a.xml": head + `<mime-type type="text/x-One">
  <comment>One &lt;&amp;&gt; "x"</comment><comment xml:lang="de">Eins ä</comment>
  <acronym>ONE</acronym><expanded-acronym>O N E</expanded-acronym>
  <!-- left out --> left out
  <glob pattern="*.ONE"/><glob pattern="*.One" case-sensitive="true" weight="70"/>
  <glob pattern="Makefile"/><glob pattern="[a-c]*.ö?" weight="0"/><glob pattern="*.tar.one"/>
  <glob pattern="*.one" weight="60"/><glob pattern="*ä"/>
  <alias type="text/one"/><alias type="text/eins"/><sub-class-of type="text/plain"/>
  <sub-class-of type="application/x-base"/><icon name="one"/><generic-icon name="text-x-generic"/>
  <root-XML namespaceURI="http://one" localName="one"/><root-XML namespaceURI="" localName="o"/>
  <unknown x="y"/>
  <magic priority="80"><match type="string" offset="0:20" value="\x41b\101\n\\\q&#10;" mask="0xff0fF">
    <match type="big16" offset="4" value="0x1234"/><match type="little32" offset="4" value="017" mask="0xff00"/>
    </match><match type="host16" offset="3:5" value="-1" /></magic>
  <magic><match type="host32" offset="3:3" value=" 77"/><match type="byte" offset="-1" value="255" mask="1"/></magic>
</mime-type>
<mime-type type="text/X-ONE"><comment>by case</comment></mime-type>
<mime-type type="application/x-empty"/>
<mime-type type="x-content/one"><treemagic priority="51"><treematch path="a/b" type="file" match-case="true"
   executable="true" non-empty="true" mimetype="text/x-one"><treematch path="c" type="link"/></treematch>
   <treematch path="d&#10;d" match-case="false"/></treemagic><treemagic/></mime-type>
<other/><mime-type/><mime-type type="noslash"/><mime-type type="a/b/c"/>
</mime-info>`,
	"b.xml": head + `<mime-type type="text/x-One"><comment xml:lang="de">Eins
anders</comment><glob-deleteall/><magic-deleteall/><glob pattern="*.1"/></mime-type>
<mime-type type="text/x-two" xmlns:k="http://k"><glob weight="101" pattern="*.wrong"/><glob pattern="*.lost"/></mime-type>
<mime-type type="text/x-three" xmlns:k="http://k"><comment k:a="1">three</comment><k:other k:b=' "&#9;
<' c="ü"><k:in><k:deep/><d xmlns="http://d">text <k:e/></d></k:in><!-- c --><k:in/></k:other>
<plain xmlns=""><a/><b><![CDATA[<c>]]></b></plain><comment>three, again</comment>
<glob pattern="*.one"/><magic><match type="string" offset="0" value="x"/><match type="string" offset="0" value=""/></magic>
<glob pattern="*.lost"/></mime-type>
<s:mime-type xmlns:s="http://www.freedesktop.org/standards/shared-mime-info" type="text/x-four"><s:comment>four</s:comment></s:mime-type>
<mime-type type="text/x-five"><magic><match type="big32" offset="1x" value="1"/></magic><glob pattern="*.lost"/></mime-type>
<mime-type type="text/x-six"><magic><match type="byte" offset="1" value="256"/></magic><glob pattern="*.lost"/></mime-type>
<mime-type type="text/x-seven"><magic></magic><glob pattern="*.lost"/></mime-type>
<mime-type type="text/x-eight"><icon/><alias type="none"/><glob pattern="*.lost"/></mime-type>
<mime-type type="text/x-nine"><treemagic><treematch path="x" type="y"/></treemagic><glob pattern="*.lost"/></mime-type>
<mime-type type="text/x-ten"><root-XML localName="x"/><glob pattern="*.lost"/></mime-type>
</mime-info>`,
	"c.xml":        head + `<mime-type type="text/x-broken"><glob pattern="*.broken"/></mime-type>`,
	"d.xml":        `<mime-info><mime-type type="text/x-other"/></mime-info>`,
	"e.txt":        head + `<mime-type type="text/x-text"/></mime-info>`,
	"Override.xml": head + `<mime-type type="text/x-One"><comment>Last</comment></mime-type></mime-info>`,
	"Z.xml":        head + `<mime-type type="text/x-One"><comment>First</comment><icon name="first"/></mime-type></mime-info>`,
}

// program is update-mime-database, or what DELTAUP_UPDATE_MIME_DATABASE says, and its version.
func program(t *testing.T) (command []string, version string) {
	command = []string{oracle.Need(t, "update-mime-database")}
	if other := strings.Fields(os.Getenv("DELTAUP_UPDATE_MIME_DATABASE")); len(other) > 0 {
		command = other
	}
	out, err := exec.Command(command[0], append(command[1:], "-v")...).CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	if err != nil || !strings.HasPrefix(line, "update-mime-database") {
		t.Fatalf("-v says %q: %v", out, err)
	}
	return command, line[strings.LastIndex(line, " ")+1:]
}

// TestLikeUpdateMimeDatabase compares all files with those of the machine's program: of the
// descriptions above, and of those of the machine.
func TestLikeUpdateMimeDatabase(t *testing.T) {
	command, version := program(t)
	machine := map[string]string{}
	folder := os.Getenv("DELTAUP_MIME_PACKAGES")
	if folder == "" {
		folder = "/usr/share/mime/packages"
	}
	names, err := filepath.Glob(folder + "/*.xml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		machine[filepath.Base(name)] = string(text)
	}
	for name, texts := range map[string]map[string]string{"made": descriptions, "machine": machine, "none": {}} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			populate(t, root, version, texts)
			if err := os.MkdirAll(filepath.Join(root, mimeFolder, "packages"), 0o755); err != nil {
				t.Fatal(err)
			}
			made, err := Build(treetest.Open(t, root))
			if err != nil {
				t.Fatal(err)
			}
			run := exec.Command(command[0], append(command[1:], filepath.Join(root, mimeFolder))...)
			run.Env = append(os.Environ(), "PKGSYSTEM_ENABLE_FSYNC=0")
			if out, err := run.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			compare(t, root, made)
		})
	}
}

// compare demands that a folder has the files made, and no others but the descriptions.
func compare(t *testing.T, root string, made []File) {
	t.Helper()
	has := map[string]bool{}
	for _, f := range made {
		has[f.Path] = true
		want, err := os.ReadFile(filepath.Join(root, f.Path))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(f.Content, want) {
			i := 0
			for i < min(len(want), len(f.Content)) && want[i] == f.Content[i] {
				i++
			}
			t.Errorf("%s differs at %d of %d and %d bytes: %q, want %q", f.Path, i, len(f.Content), len(want),
				f.Content[i:min(i+200, len(f.Content))], want[i:min(i+200, len(want))])
		}
	}
	err := filepath.WalkDir(filepath.Join(root, mimeFolder), func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if !has[rel] && !strings.HasPrefix(rel, mimeFolder+"/packages/") {
			t.Errorf("/%s is missing", rel)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestGolden makes the files whose bytes were also those of these versions, but for the list of
// them.
func TestGolden(t *testing.T) {
	for _, version := range []string{"2.2", "2.4"} {
		root := t.TempDir()
		populate(t, root, version, descriptions)
		made, err := Build(treetest.Open(t, root))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		for _, f := range made {
			fmt.Fprintf(sum, "%s %d\n", f.Path, len(f.Content))
			if !strings.HasSuffix(f.Path, "/version") {
				sum.Write(f.Content)
			} else if string(f.Content) != version+"\n" {
				t.Errorf("version %q, want %s", f.Content, version)
			}
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != "7cecf4e2af777706d59e2945cf5e4207f364e90154c687af126add495d76bada" {
			t.Errorf("shared-mime-info %s: %s", version, got)
		}
	}
}

// TestRefused demands an error for what is not known, and nothing where there is nothing.
func TestRefused(t *testing.T) {
	root := t.TempDir()
	treetest.Write(t, filepath.Join(root, "etc/x"), "")
	if made, err := Build(treetest.Open(t, root)); made != nil || err != nil {
		t.Errorf("an empty tree: %d files, %v", len(made), err)
	}
	for _, version := range []string{"2.1", "2.5", "3.0", ""} {
		root := t.TempDir()
		populate(t, root, version, descriptions)
		if _, err := Build(treetest.Open(t, root)); !errors.Is(err, ErrUnknown) {
			t.Errorf("version %q: %v", version, err)
		}
	}
	for _, text := range []string{
		head + `<mime-type type="../x"/></mime-info>`,
		head + `<mime-type type="packages/x"/></mime-info>`,
		head + `<mime-type type="Globs/x"/></mime-info>`,
		head + `<mime-type type="` + strings.Repeat("a", 300) + `/x"/></mime-info>`,
		head + `<mime-type type="a/b"><glob pattern="*"/></mime-type></mime-info>`,
		head + `<mime-type type="a/b"><glob pattern="` + strings.Repeat("a", 5000) + `"/></mime-type></mime-info>`,
		head + `<mime-type type="a/b"><glob weight="99999999999999999999" pattern="x"/></mime-type></mime-info>`,
		head + `<mime-type type="a/b"><magic><match offset="0" type="big32" value="0xfffffffffffffffff"/></magic></mime-type></mime-info>`,
		head + `<mime-type type="a/b"><magic><match offset="0" type="big32" value="0b1"/></magic></mime-type></mime-info>`,
		head + "<mime-type type=\"a/b\"><x y='a\n&#10;'/></mime-type></mime-info>",
		head + `<mime-type type="a/b"><k:x/></mime-type></mime-info>`,
		head + `<mime-type type="a/b" k:x=""/></mime-info>`,
		head + `<mime-type type="a/b" xmlns:k=""/></mime-info>`,
		`<!DOCTYPE mime-info [<!ENTITY x "y">]><mime-info/>`,
		`<!DOCTYPE mime-info [<!ATTLIST glob weight CDATA "60">]><mime-info/>`,
		`<?xml version="1.0" encoding="ISO-8859-1"?><mime-info/>`,
	} {
		if err := new(database).load([]byte(text)); !errors.Is(err, ErrText) {
			t.Errorf("%.200s: %v", text, err)
		}
	}
}

// FuzzLoad demands of every description a cache whose lists are inside it.
func FuzzLoad(f *testing.F) {
	for _, text := range descriptions {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d := &database{}
		if err := d.load(text); err != nil {
			if !errors.Is(err, ErrText) {
				t.Fatal(err)
			}
			return
		}
		made, err := d.files("2.4")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range made {
			if !fs.ValidPath(f.Path) || strings.HasPrefix(f.Path, mimeFolder+"/packages/") {
				t.Errorf("a file %q", f.Path)
			}
			if !strings.HasSuffix(f.Path, "/mime.cache") {
				continue
			}
			last := uint32(headerSize)
			for i := 4; i < headerSize; i += 4 {
				at := binary.BigEndian.Uint32(f.Content[i:])
				if at < last || at >= uint32(len(f.Content)) {
					t.Fatalf("list at %d of %d", at, len(f.Content))
				}
				last = at
			}
			if int(last)+4+4*d.types.Len() != len(f.Content) {
				t.Fatalf("%d bytes, the last list is at %d", len(f.Content), last)
			}
		}
	})
}
