package kernel

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReal takes real kernels apart and makes them again: those of DELTAUP_TEST_KERNELS, a list of
// files with colons between them.
func TestReal(t *testing.T) {
	list := os.Getenv("DELTAUP_TEST_KERNELS")
	if list == "" {
		t.Skip("DELTAUP_TEST_KERNELS names no kernels")
	}
	for _, path := range strings.Split(list, ":") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			spool, err := os.Create(filepath.Join(t.TempDir(), "spool"))
			if err != nil {
				t.Fatal(err)
			}
			defer spool.Close()
			r, src, err := NewRecipe(context.Background(), bytes.NewReader(file), Options{Spool: spool})
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if _, err := Build(context.Background(), r, src, &got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), file) {
				t.Error("another kernel is made")
			}
			for name, c := range r.Parts() {
				t.Log(r.Codec, name, c.Size)
			}
		})
	}
}
