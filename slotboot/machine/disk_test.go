package machine

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// FuzzDisk gives the head of a disk any content: what is read of it is a UUID or nothing.
func FuzzDisk(f *testing.F) {
	ext := make([]byte, 2048)
	ext[extSuperblock+extMagicAt], ext[extSuperblock+extMagicAt+1] = 0x53, 0xef
	fat := make([]byte, fatSector)
	copy(fat[fat32Type:], "FAT32   ")
	f.Add(ext)
	f.Add(fat)
	f.Add([]byte{})
	uuid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$|^[0-9A-F]{4}-[0-9A-F]{4}$`)
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		disk, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer disk.Close()
		id, features, err := readExt(disk)
		if err == nil && (!uuid.MatchString(id) || len(features) > len(extIncompat)+len(extROCompat)) {
			t.Errorf("ext4: %q, %q", id, features)
		}
		if id, _, err := readFAT(disk); err == nil && !uuid.MatchString(id) {
			t.Errorf("FAT: %q", id)
		}
	})
}
