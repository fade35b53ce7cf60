package folder

import (
	"context"
	"os"
	"os/exec"
	"testing"
)

// TestLoosened removes what somebody has made immutable.
func TestLoosened(t *testing.T) {
	d, dir := newFolder(t)
	must(t, os.MkdirAll(dir+"/a/b/c", 0o700), os.WriteFile(dir+"/a/file", nil, 0o600), os.WriteFile(dir+"/a/b/file", nil, 0o600),
		os.WriteFile(dir+"/file", nil, 0o600), os.Symlink("file", dir+"/a/b/link"), os.Mkdir(dir+"/empty", 0o700))
	t.Cleanup(func() { exec.Command("chattr", "-R", "-ia", dir).Run() })
	for flag, names := range map[string][]string{"+i": {"/a/file", "/a/b", "/file", "/empty", "/a"}, "+a": {"/a/b/file", "/a/b/c"}} {
		for _, name := range names {
			if out, err := exec.Command("chattr", flag, dir+name).CombinedOutput(); err != nil {
				t.Skipf("no file can be held here: %s", out)
			}
		}
	}
	must(t, d.Remove("file"))
	must(t, d.Empty(context.Background(), 1000))
	if names, err := d.Names(10); err != nil || len(names) > 0 {
		t.Errorf("%v are left: %v", names, err)
	}
}
