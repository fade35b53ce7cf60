package grubenv_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"deltaup/internal/test/grubtest"
	"deltaup/slotboot/grubenv"
)

// TestSaveEnv holds the model of GRUB's save_env to what grub-editenv makes of the same block, byte
// for byte.
func TestSaveEnv(t *testing.T) {
	tool, err := exec.LookPath("grub-editenv")
	if err != nil {
		if os.Getenv("DELTAUP_TEST_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "grubenv")
	for name, block := range grubenv.States() {
		for _, v := range [][2]string{{"x", "7"}, {"y", "long value"}, {"new", "1"}} {
			if err := os.WriteFile(file, block, 0o644); err != nil {
				t.Fatal(err)
			}
			_, toolErr := exec.Command(tool, file, "set", v[0]+"="+v[1]).CombinedOutput()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := grubtest.SaveEnv(block, v[0], v[1])
			if ok != (toolErr == nil) {
				t.Errorf("%s, %s: SaveEnv says %v, grub-editenv %v", name, v[0], ok, toolErr)
			}
			if ok && !bytes.Equal(got, want) {
				t.Errorf("%s, %s=%s:\n got %q\nwant %q", name, v[0], v[1], got, want)
			}
		}
	}
}

// FuzzSaveEnv saves into any bytes: what is saved is read back.
func FuzzSaveEnv(f *testing.F) {
	for _, block := range grubenv.States() {
		f.Add(block)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		saved, ok := grubtest.SaveEnv(b, "deltaup_tries", "2")
		if ok && len(saved) != len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(saved))
		}
	})
}
