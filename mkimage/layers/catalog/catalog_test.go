package catalog

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/internal/test/oracle"
	"deltaup/internal/test/treetest"
)

const (
	id1 = "f77379a8490b408bbe5f6940505a777b"
	id2 = "D93FB3C9C24D451A97CEA615CE59C00B"
	id3 = "00000000000000000000000000000001"
)

// texts are files with messages, below usr/lib/systemd/catalog unless they have a path.
var texts = map[string]string{
	"a.catalog": "# comment\n\n-- " + id1 + "\nSubject: one\nDefined-By: a\n\nBody of one\n; comment\n\n\nmore of it\n\n" +
		"-- " + id2 + "\nSubject: two\nSupport: x\n\nBody of two\n-- " + id1 + " no message, no empty line before\n\n" +
		"-- " + strings.Repeat("z", 32) + " no message, and cut\n",
	"a.de.catalog":       "-- " + id1 + "\nSubject: eins\n\nText\n",
	"a.be@latin.catalog": "-- " + id1 + "\r\nSubject: adzin\r\n\r\nTekst\r\n",
	"b.catalog":          "\n-- " + id1 + " de\nSubject: later\n\n-- " + id2 + "  pt_BR \t\nSubject: dois\n\nCorpo\n\n-- " + id3 + "\nmore of it\n",
	"c.catalog":          "-- " + id2 + "\nSubject: two again\nDocumentation: man:x\n\n-- " + id1 + "\nOnly: fields",
	"c.de.catalog":       "-- " + id3 + " de\n\nBody alone\n\n-- " + id3 + " fr\nSujet: x\n",
	"d.catalog":          "",
	"local.catalog":      "-- " + id3 + "\nhidden: x\n",
	"readme":             "readme",
	"usr/local/lib/systemd/catalog/local.catalog": "-- " + id3 + " xx\nlocal: x\n\nBody of two\n",
}

func populate(t testing.TB, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if !strings.Contains(name, "/") {
			name = "usr/lib/systemd/catalog/" + name
		}
		treetest.Write(t, filepath.Join(root, name), text)
	}
}

// wrong are files with which journalctl makes no database.
var wrong = map[string]string{
	"no id":          "text\n",
	"no text":        "-- " + id1 + "\n\n-- " + id2 + "\ntext\n",
	"no text at end": "-- " + id1 + "\n",
	"short language": "-- " + id1 + " d\ntext\n",
	"long language":  "-- " + id1 + " " + strings.Repeat("d", 32) + "\ntext\n",
	"long line":      "-- " + id1 + "\n" + strings.Repeat("x", 1<<20) + "\n",
}

// TestLikeJournalctl compares the database with that of the machine's journalctl.
func TestLikeJournalctl(t *testing.T) {
	command := []string{oracle.Need(t, "journalctl")}
	if other := strings.Fields(os.Getenv("DELTAUP_JOURNALCTL")); len(other) > 0 {
		command = other
	}
	root := t.TempDir()
	populate(t, root, texts)
	got, err := Build(treetest.Open(t, root))
	if err != nil {
		t.Fatal(err)
	}
	update := func(root string) ([]byte, error) {
		out, err := exec.Command(command[0], append(command[1:], "--update-catalog", "--root", root)...).CombinedOutput()
		return out, err
	}
	if out, err := update(root); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(root, Path))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	for name, text := range wrong {
		root := t.TempDir()
		populate(t, root, map[string]string{"a.catalog": text})
		if out, err := update(root); err == nil {
			t.Errorf("%s: journalctl takes it: %s", name, out)
		}
	}
}

// TestGolden makes a database whose hash is that of what journalctl of systemd 252 and 257 made.
func TestGolden(t *testing.T) {
	root := t.TempDir()
	populate(t, root, texts)
	b, err := Build(treetest.Open(t, root))
	if err != nil {
		t.Fatal(err)
	}
	const want = "f9ed4f1980fca98297d91b5e2edf0f57f4ec695ef26201f8d40a6151be9dd1fb"
	if got := fmt.Sprintf("%x", sha256.Sum256(b)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestWrong demands an error where journalctl has one, and no database without messages.
func TestWrong(t *testing.T) {
	for name, text := range wrong {
		root := t.TempDir()
		populate(t, root, map[string]string{"a.catalog": text})
		if _, err := Build(treetest.Open(t, root)); !errors.Is(err, ErrText) || !strings.Contains(err.Error(), "/usr/lib/systemd/catalog/a.catalog") {
			t.Errorf("%s: %v", name, err)
		}
	}
	root := t.TempDir()
	populate(t, root, map[string]string{"a.catalog": "", "b.x.catalog": "# comment\n"})
	if b, err := Build(treetest.Open(t, root)); b != nil || err != nil {
		t.Errorf("without messages: %d bytes, %v", len(b), err)
	}
	populate(t, root, map[string]string{"b.x.catalog": "-- " + id1 + "\ntext\n"})
	if _, err := Build(treetest.Open(t, root)); !errors.Is(err, ErrText) {
		t.Errorf("a file's language of one letter: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for name, text := range texts {
		f.Add([]byte(text), []byte(texts["b.catalog"]), fileLanguage(name))
	}
	f.Fuzz(func(t *testing.T, one, two []byte, language string) {
		if len(language) > 31 || strings.Contains(language, "\x00") {
			return
		}
		c := &catalog{messages: map[item]int{}}
		if c.parse(one, language) != nil || c.parse(two, "") != nil {
			return
		}
		b := c.encode()
		if len(b) < headerSize+itemSize*len(c.order) {
			t.Fatalf("%d bytes for %d messages", len(b), len(c.order))
		}
		for _, m := range c.order {
			at := headerSize + itemSize*len(c.order) + m.offset
			if !bytes.HasPrefix(b[at:], []byte(m.text+"\x00")) {
				t.Fatalf("at %d is not %q", at, m.text)
			}
		}
	})
}
