package mimeinfo

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/internal/test/oracle"
	"deltaup/internal/test/treetest"
)

const head = "[Desktop Entry]\n"

// entries are desktop entries that the program takes, and does not take.
var entries = map[string]string{
	"a.desktop":            "# comment\n\n" + head + "Name=A\nName[de_DE@euro]=Ä\nMimeType=text/plain;image/png ;text/plain\n",
	"b.desktop":            "\t" + head + " MimeType = text/plain;;a/b;x-foo/bar;X-/y;x-f(/y;text/;text;text/a b;multipart/x;example/x;misc/ultravox;\r\n",
	"hidden.desktop":       head + "MimeType=text/plain;\nHidden=true \n",
	"hidden2.desktop":      head + "MimeType=text/plain;\nHidden=yes\n",
	"none.desktop":         head + "Name=none\n",
	"empty.desktop":        "",
	"late.desktop":         "Name=x\n" + head + "MimeType=text/late\n",
	"noise.desktop":        head + "MimeType=text/noise\nnoise\n",
	"key.desktop":          head + "MimeType=text/key\nName [de]=x\n",
	"locale.desktop":       head + "MimeType=text/locale\nName[ä1]=x\nA B=1\n",
	"locale2.desktop":      head + "MimeType=text/locale2\nName[d e]=x\n",
	"equals.desktop":       head + "MimeType=text/equals\n=x\n",
	"encoding.desktop":     head + "MimeType=text/encoding\nEncoding=UTF-8\n",
	"encoding2.desktop":    head + "MimeType=text/encoding2\nEncoding=latin1\n",
	"group.desktop":        "[Other]\nMimeType=text/other\n" + head + "MimeType=text/first\n[ x ] \nMimeType=text/x\n" + head + "MimeType=text/group\n",
	"group2.desktop":       head + "MimeType=text/group2\n[a[b]\n",
	"group3.desktop":       head + "MimeType=text/group3\n[]\n",
	"group4.desktop":       head + "MimeType=text/group4\n[a] b\n",
	"escape.desktop":       head + `MimeType=text/e\s;text/f\;g;text/h\\i;text/x;zz-application/zz-winassoc-uu` + "\n",
	"escape2.desktop":      head + `MimeType=text/escape2;\x` + "\n",
	"escape3.desktop":      head + "MimeType=text/escape3;\\",
	"utf.desktop":          head + "MimeType=text/ü;\n",
	"utf2.desktop":         head + "MimeType=text/\xff;\n",
	"utf3.desktop":         head + "MimeType=text/utf3;\nName[\xff]=x\n",
	"nul.desktop":          head + "MimeType=text/nul\x00;text/behind\n",
	"sub/a.desktop":        head + "MimeType=text/plain;inode/directory",
	"sub/deep/a-b.desktop": head + "MimeType=x-scheme-handler/http;chemical/x-pdb;x-directory/normal;font/ttf\n",
	"other.txt":            head + "MimeType=text/txt\n",
	".desktop":             head + "MimeType=text/dot\n",
	"mimeinfo.cache":       "old",
}

// TestLikeUpdateDesktopDatabase compares the list with that of the machine's program, or that which
// DELTAUP_UPDATE_DESKTOP_DATABASE says: of the entries above, and of the machine's.
func TestLikeUpdateDesktopDatabase(t *testing.T) {
	command := strings.Fields(os.Getenv("DELTAUP_UPDATE_DESKTOP_DATABASE"))
	if len(command) == 0 {
		command = []string{oracle.Need(t, "update-desktop-database")}
	}
	machine := os.Getenv("DELTAUP_APPLICATIONS")
	if machine == "" {
		machine = "/" + folder
	}
	for _, kind := range []string{"made", "machine", "none"} {
		t.Run(kind, func(t *testing.T) {
			root := t.TempDir()
			treetest.Write(t, filepath.Join(root, "usr/bin/update-desktop-database"), "")
			if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
				t.Fatal(err)
			}
			switch kind {
			case "made":
				for name, text := range entries {
					treetest.Write(t, filepath.Join(root, folder, name), text)
				}
				if err := os.Symlink("nowhere", filepath.Join(root, folder, "y.desktop")); err != nil {
					t.Fatal(err)
				}
			case "machine":
				if _, err := os.Stat(machine); err != nil {
					t.Skip(err)
				}
				if err := os.CopyFS(filepath.Join(root, folder), os.DirFS(machine)); err != nil {
					t.Skip(err)
				}
			}
			got, err := Build(treetest.Open(t, root))
			if err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(command[0], append(command[1:], filepath.Join(root, folder))...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			want, err := os.ReadFile(filepath.Join(root, Path))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%q\nwant %q", got, want)
			}
		})
	}
}

// TestBuild makes the list that the program made of the same entries.
func TestBuild(t *testing.T) {
	root := t.TempDir()
	for name, text := range entries {
		treetest.Write(t, filepath.Join(root, folder, name), text)
	}
	if got, err := Build(treetest.Open(t, root)); got != nil || err != nil {
		t.Errorf("without the program: %q, %v", got, err)
	}
	treetest.Write(t, filepath.Join(root, "usr/bin/update-desktop-database"), "")
	// a folder that leads into itself has no other entries
	if err := os.Symlink(".", filepath.Join(root, folder, "loop")); err != nil {
		t.Fatal(err)
	}
	got, err := Build(treetest.Open(t, root))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != golden {
		t.Errorf("%s\nwant %s", got, golden)
	}
	b := &builder{entries: map[string][]string{}, size: totalMax}
	if err := b.entry("x", head); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

const golden = `[MIME Cache]
X-/y=b.desktop;
chemical/x-pdb=sub-deep-a-b.desktop;
font/ttf=sub-deep-a-b.desktop;
image/png=a.desktop;
inode/directory=sub-a.desktop;
misc/ultravox=b.desktop;
multipart/x=b.desktop;
text/dot=.desktop;
text/e=escape.desktop;
text/encoding=encoding.desktop;
text/group=group.desktop;
text/locale=locale.desktop;
text/nul=nul.desktop;
text/plain=a.desktop;b.desktop;hidden2.desktop;sub-a.desktop;
text/x=escape.desktop;
text/ü=utf.desktop;
x-directory/normal=sub-deep-a-b.desktop;
x-foo/bar=b.desktop;
x-scheme-handler/http=sub-deep-a-b.desktop;
zz-application/zz-winassoc-uu=escape.desktop;
`

// FuzzEntry demands of every entry names that can stand in the list.
func FuzzEntry(f *testing.F) {
	for _, text := range entries {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b := &builder{entries: map[string][]string{}}
		if err := b.entry("x.desktop", text); err != nil {
			t.Fatal(err)
		}
		for name, apps := range b.entries {
			if strings.ContainsAny(name, "\n=;[") || !strings.Contains(name, "/") || len(apps) != 1 {
				t.Errorf("%q has %q", name, apps)
			}
		}
	})
}
