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
			if r.Before != nil && !bytes.HasPrefix(file, []byte(gzipMagic)) &&
				!bytes.Equal(filter(t, file, "bash", "-c", extractVmlinux), contentOf(t, src, r.Payload)) {
				t.Error("extract-vmlinux gives another payload")
			}
		})
	}
}

// extractVmlinux does what scripts/extract-vmlinux of the kernel does: it decompresses at each place
// where a magic is, until that gives an ELF file.
const extractVmlinux = `
set -u
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
cat > "$tmp/img"
try() {
  for pos in $(LC_ALL=C tr "$1\n$2" "\n$2=" < "$tmp/img" | LC_ALL=C grep -abo "^$2"); do
    tail -c+"${pos%%:*}" "$tmp/img" | $3 > "$tmp/out" 2>/dev/null
    [[ $(head -c 4 "$tmp/out" | tr -d '\0') != $'\x7fELF' ]] || { cat "$tmp/out"; exit 0; }
  done
}
try '\037\213\010' xy gunzip
try '\002!L\030' xxx 'lz4 -d'
exit 1`
