package mkimage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"deltaup/chunkstore"
)

// TestFindContents builds an image from a tree in which the recipe's contents have other names.
func TestFindContents(t *testing.T) {
	ctx := context.Background()
	large, small := realistic(1, 300_000), realistic(2, 5000)
	r, image, _ := makeImage(t, newTree(regular("large", large), regular("small", small), regular("empty", nil)), Options{Level: "fastest"})
	other := realistic(3, 5000)
	elsewhere := newTree(folder("x"), regular("x/1", small), regular("x/2", large), regular("x/3", small), regular("other", other), regular("unread", realistic(4, 7000)))
	var read, total int64
	source, err := FindContents(ctx, r, elsewhere, func(done, all int64) { read, total = done, all })
	if err != nil {
		t.Fatal(err)
	}
	if elsewhere.opens["unread"] != 0 {
		t.Error("a file was read whose size no content has")
	}
	if want := int64(len(large) + 3*len(small)); read != want || total != want {
		t.Errorf("read %d of %d bytes, want %d", read, total, want)
	}
	var out memFile
	if _, err := Build(ctx, r, source, &out, BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.b, image) {
		t.Error("the image differs")
	}
	if _, err := source.Open(ctx, &chunkstore.Content{ID: chunkstore.Sum(other), Size: 5000}); !errors.Is(err, chunkstore.ErrNotFound) {
		t.Errorf("a content that the recipe does not have: %v", err)
	}

	source, err = FindContents(ctx, r, newTree(regular("other", other)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Build(ctx, r, source, new(memFile), BuildOptions{}); !errors.Is(err, chunkstore.ErrNotFound) {
		t.Errorf("contents missing: %v", err)
	}
}

// TestFindContentsError demands that the error names the file that cannot be read.
func TestFindContentsError(t *testing.T) {
	files := newTree(regular("a", []byte("12345")), regular("b", []byte("67890")))
	r, _, _ := makeImage(t, files, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := FindContents(ctx, r, files, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := FindContents(context.Background(), r, failingTree{files}, nil); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "open /") {
		t.Errorf("error %v", err)
	}
}

type failingTree struct{ *memTree }

func (failingTree) Open(int) (io.ReadCloser, error) { return nil, io.ErrUnexpectedEOF }
