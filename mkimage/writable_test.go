package mkimage

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// countedOut counts the calls of WriteAt.
type countedOut struct{ writes int }

func (c *countedOut) WriteAt(p []byte, _ int64) (int, error) {
	c.writes++
	return len(p), nil
}

// TestBuildRefusesEarly refuses a recipe that no image is written for before any data is.
func TestBuildRefusesEarly(t *testing.T) {
	long := strings.Repeat("n", squashfs.WriteNameMax)
	target := strings.Repeat("t", squashfs.WriteTargetMax)
	for _, c := range []struct{ name, target, want string }{
		{long, target, ""},
		{long + "n", target, "name of 256 bytes"},
		{long, target + "t", "target of 4096 bytes"},
	} {
		plain := bytes.Repeat([]byte("data"), 64<<10)
		content := &chunkstore.Content{ID: chunkstore.Sum(plain), Size: int64(len(plain))}
		entry := func(path string, attr tree.Attr) Entry {
			return Entry{Entry: tree.Entry{Path: path, Attr: attr}}
		}
		file := entry("a", tree.Attr{Type: tree.Regular})
		file.Size, file.Content = content.Size, content
		r := &Recipe{
			BlockSize: defaultBlockSize,
			Codec:     codecs[0].ID,
			Chunking:  chunkstore.DefaultParams,
			Entries: PackEntries(
				entry("", tree.Attr{Type: tree.Directory, Mode: 0o755}),
				file,
				entry(c.name, tree.Attr{Type: tree.Symlink, Target: c.target}),
			),
		}
		out := new(countedOut)
		_, err := Build(t.Context(), r, plainSource{plain}, out, BuildOptions{})
		switch {
		case c.want == "":
			if err != nil {
				t.Error(err)
			}
		case err == nil || !strings.Contains(err.Error(), c.want):
			t.Errorf("%v, expected %q", err, c.want)
		case out.writes > 0:
			t.Errorf("%d writes before %v", out.writes, err)
		}
	}
}

// plainSource has one content.
type plainSource struct{ plain []byte }

func (s plainSource) Open(context.Context, *chunkstore.Content) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s.plain)), nil
}
