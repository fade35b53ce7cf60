package state

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// FuzzRates gives the state folder any file of rates: what is believed of it lies within bounds.
func FuzzRates(f *testing.F) {
	f.Add([]byte(`{"write":123456789.5,"decode":1e9}`))
	f.Add([]byte(`{"write":-1,"decode":1e300}`))
	s := &Folder{dir: f.TempDir()}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(s.ratesPath(), b, 0o644); err != nil {
			t.Fatal(err)
		}
		if r := s.WriteRate(); r != 0 && !(r >= rateMin && r <= rateMax) {
			t.Errorf("%q is believed: %v bytes a second", b, r)
		}
	})
}

// FuzzKeptRecipe gives the state folder any text in the place of a kept recipe, compressed as one
// is.
func FuzzKeptRecipe(f *testing.F) {
	f.Add([]byte("deltaup-recipe 1\nimage block-size=4096 codec=x mtime=0\nchunks min=64 average=64 max=64\nd 0755 0 0 0 /\nend 4\n"), false)
	f.Add([]byte("deltaup-kept-recipe 1\nimage block-size=4096 codec=x mtime=0\nchunks min=64 average=64 max=64\n"+
		"text 1111111111111111111111111111111111111111111111111111111111111111\nd 0755 0 0 0 /\n"+
		"f 0644 0 0 0 9 ?00000000000000010000000000000002 /a\nend 6\n"), false)
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd}, true)
	dir := f.TempDir()
	r := Recipes{dir: dir, tmp: dir}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(keptWindow))
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, "kept.zst")
	f.Fuzz(func(t *testing.T, b []byte, raw bool) {
		stored := b
		if !raw {
			stored = enc.EncodeAll(b, nil)
		}
		if err := os.WriteFile(path, stored, 0o644); err != nil {
			t.Fatal(err)
		}
		kept, err := r.read(path)
		if err != nil || raw {
			return
		}
		var text bytes.Buffer
		if err := kept.WriteKept(&text, kept.Text); err != nil || !bytes.Equal(text.Bytes(), b) {
			t.Errorf("%q is read as %q: %v", b, text.Bytes(), err)
		}
	})
}
