package chunkstore_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/chunkstore/storetest"
)

func TestFolderStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, root string, _ map[chunkstore.ID]chunkstore.Location) chunkstore.Store {
		f, err := chunkstore.OpenFolder(filepath.Join(root, "packs"), filepath.Join(root, "tmp"))
		if err != nil {
			t.Fatal(err)
		}
		return f
	})
}

func TestRemoteStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, root string, at map[chunkstore.ID]chunkstore.Location) chunkstore.Store {
		return chunkstore.NewRemote(folderRanger(root), packName, at)
	})
}

func packName(id chunkstore.ID) string { return "packs/" + chunkstore.PackPath(id) }

// folderRanger reads ranges of the files of a folder.
type folderRanger string

func (r folderRanger) ReadRange(_ context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	f, err := os.Open(filepath.Join(string(r), name))
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, offset, length), f}, nil
}

var errBroken = errors.New("line broken")

// brokenRanger fails in the way that its field names.
type brokenRanger struct{ open, read, close error }

func (r brokenRanger) ReadRange(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return r, r.open
}

func (r brokenRanger) Read(p []byte) (int, error) { return min(1, len(p)), r.read }

func (r brokenRanger) Close() error { return r.close }

func TestRemoteErrors(t *testing.T) {
	plain := []byte("some bytes")
	c := chunkstore.Chunk{ID: chunkstore.Sum(plain), Size: int64(len(plain))}
	at := map[chunkstore.ID]chunkstore.Location{c.ID: {Pack: c.ID, Offset: 12, Length: c.Size + 1}}
	for name, test := range map[string]struct {
		ranger chunkstore.Ranger
		want   error
	}{
		"open":  {brokenRanger{open: errBroken}, errBroken},
		"read":  {brokenRanger{read: errBroken}, errBroken},
		"short": {brokenRanger{read: io.EOF}, io.ErrUnexpectedEOF},
		"close": {brokenRanger{close: errBroken}, errBroken},
		"bytes": {brokenRanger{}, chunkstore.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := chunkstore.NewRemote(test.ranger, packName, at).Chunk(t.Context(), c)
			if !errors.Is(err, test.want) {
				t.Fatalf("%v, want %v", err, test.want)
			}
			if !strings.Contains(err.Error(), c.ID.String()) {
				t.Errorf("%v does not name the chunk", err)
			}
		})
	}
}
