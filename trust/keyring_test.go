package trust_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"deltaup/trust"
)

// TestKeyFolderNames signs with keys in folders whose names mean something to a shell.
func TestKeyFolderNames(t *testing.T) {
	for _, name := range []string{"k[1]", "k*", "k?", `k\`, "k{a,b}", "[", "k-x.age"} {
		s := newSite(t, nil)
		s.must(os.Rename(s.keys, filepath.Join(filepath.Dir(s.keys), name)))
		s.keys = filepath.Join(filepath.Dir(s.keys), name)
		s.publish("1", "stable", trust.Info{})
		s.rotate(trust.Change{Role: "timestamp"})
		roles, unused, err := s.open().Keys()
		s.must(err)
		for _, r := range roles {
			if len(r.Keys) != 1 || filepath.Dir(r.Keys[0].File) != s.keys {
				t.Errorf("%s: keys of %s: %+v", name, r.Role, r.Keys)
			}
		}
		if len(unused) != 1 || !strings.HasPrefix(filepath.Base(unused[0].File), "timestamp-") {
			t.Errorf("%s: unused: %+v", name, unused)
		}
		s.newTarget().wants("1")
	}
}

// TestKeyFilesPrivate checks the modes of new files under umasks that take away too little and too
// much.
func TestKeyFilesPrivate(t *testing.T) {
	for _, umask := range []int{0, 0o277} {
		dir := t.TempDir()
		old := syscall.Umask(umask)
		s := &site{t: t, dir: filepath.Join(dir, "mirror"), keys: filepath.Join(dir, "keys"), now: epoch}
		err := os.Mkdir(s.dir, 0o700)
		if err == nil {
			err = os.Chmod(s.dir, 0o700)
		}
		if err == nil {
			_, err = trust.Init(context.Background(), s.options(), trust.InitOptions{Passphrase: passphrase, Work: 1})
		}
		syscall.Umask(old)
		if umask == 0 {
			s.must(err)
		} // under the other umask only root can write to the mirror's new folders
		info, err := os.Stat(s.keys)
		s.must(err)
		if info.Mode().Perm() != 0o700 {
			t.Errorf("umask %o: the folder has the mode %o", umask, info.Mode().Perm())
		}
		entries, err := os.ReadDir(s.keys)
		s.must(err)
		keys := 0
		for _, e := range entries {
			if filepath.Ext(e.Name()) != ".age" {
				continue
			}
			keys++
			info, err := e.Info()
			s.must(err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("umask %o: %s has the mode %o", umask, e.Name(), info.Mode().Perm())
			}
		}
		if keys != 4 {
			t.Errorf("umask %o: %d key files", umask, keys)
		}
	}
}
