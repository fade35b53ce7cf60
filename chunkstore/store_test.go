package chunkstore_test

import (
	"path/filepath"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/storetest"
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
