package mounts

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestStoreIsRoots takes a store from a user of the machine to whom a stranger has given it.
func TestStoreIsRoots(t *testing.T) {
	l := newLab(t)
	for range 2 {
		l.open("data/deltaup/settings/objects")
		for _, name := range []string{"data/deltaup", "data/deltaup/settings"} {
			l.do(os.Chown(l.path(name), 1000, 1000), os.Chmod(l.path(name), 0o777))
		}
		f, err := l.Store()
		l.do(err)
		l.do(f.Close())
		for name, mode := range map[string]uint32{"data/deltaup": 0o755, "data/deltaup/settings": 0o700} {
			var s unix.Stat_t
			l.do(unix.Stat(l.path(name), &s))
			if s.Uid != 0 || s.Gid != 0 || s.Mode&0o7777 != mode {
				t.Errorf("%s: %d:%d %04o", name, s.Uid, s.Gid, s.Mode&0o7777)
			}
		}
	}
}
