package modules

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/internal/test/treetest"
)

// indexes are those of a kernel with all that names can lead through.
var indexes = map[string]string{
	"modules.dep": "kernel/fs/ext4/ext4.ko: kernel/fs/mbcache.ko kernel/fs/jbd2.ko\nkernel/fs/mbcache.ko:\nkernel/fs/jbd2.ko.xz: kernel/fs/mbcache.ko\n" +
		"kernel/crypto/crc32c-generic.ko:\nkernel/crypto/crc32c_intel.ko:\nkernel/a.ko: kernel/b.ko\nkernel/b.ko: kernel/a.ko\n/lib/modules/" + version + "/updates/x.ko:\n",
	"modules.softdep":         "# text\nsoftdep ext4 pre: crc32c\nsoftdep a post: x nosuch\nsoftdep nosuch pre: a\nsoftdep\n",
	"modules.alias":           "alias crc32c crc32c_generic\nalias crc32* crc32c_intel\nalias fs-ext4 ext4\nalias broken[ a\nalias gone nosuch\nalias\n",
	"modules.builtin":         "kernel/drivers/nvme/host/nvme-core.ko\n",
	"modules.builtin.modinfo": "nvme.alias=pci:nvme\x00nvme.license=GPL\x00",
}

func TestNeeded(t *testing.T) {
	dir := t.TempDir()
	for name, text := range indexes {
		treetest.Write(t, filepath.Join(dir, "lib/modules", version, name), []byte(text))
	}
	in := treetest.Open(t, dir)
	for names, want := range map[string]string{
		"ext4":                                "kernel/crypto/crc32c-generic.ko kernel/crypto/crc32c_intel.ko kernel/fs/ext4/ext4.ko kernel/fs/jbd2.ko.xz kernel/fs/mbcache.ko",
		"fs-ext4":                             "kernel/crypto/crc32c-generic.ko kernel/crypto/crc32c_intel.ko kernel/fs/ext4/ext4.ko kernel/fs/jbd2.ko.xz kernel/fs/mbcache.ko",
		"jbd2":                                "kernel/fs/jbd2.ko.xz kernel/fs/mbcache.ko",
		"a":                                   "kernel/a.ko kernel/b.ko updates/x.ko",
		"b":                                   "kernel/a.ko kernel/b.ko updates/x.ko",
		"crc32c-generic crc32c_generic":       "kernel/crypto/crc32c-generic.ko",
		"nvme-core nvme_core pci:nvme":        "",
		"nosuch crc32cx gone broken[ license": "kernel/crypto/crc32c_intel.ko unknown nosuch gone broken[ license",
		"b nosuch mbcache":                    "kernel/a.ko kernel/b.ko kernel/fs/mbcache.ko updates/x.ko unknown nosuch",
		"":                                    "",
	} {
		paths, unknown, err := Needed(in, version, strings.Fields(names))
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, p := range paths {
			got = append(got, strings.TrimPrefix(p, "lib/modules/"+version+"/"))
		}
		if len(unknown) > 0 {
			got = append(append(got, "unknown"), unknown...)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", names, got, want)
		}
	}
	if _, _, err := Needed(in, "other", nil); !errors.Is(err, ErrModule) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another kernel: %v", err)
	}
	treetest.Write(t, filepath.Join(dir, "lib/modules", version, depName), []byte("no colon\n"))
	if _, _, err := Needed(treetest.Open(t, dir), version, nil); !errors.Is(err, ErrModule) {
		t.Errorf("a damaged modules.dep: %v", err)
	}
}

// TestNeededOfMachine compares what a module of this machine's kernel needs with what modprobe says.
func TestNeededOfMachine(t *testing.T) {
	versions, err := filepath.Glob("/lib/modules/*/modules.dep")
	if err != nil || len(versions) == 0 {
		t.Skip("no modules are here")
	}
	modprobe := tool(t, "modprobe")
	dir := t.TempDir()
	release := filepath.Base(filepath.Dir(versions[0]))
	for name := range indexes {
		if b, err := os.ReadFile(filepath.Join(filepath.Dir(versions[0]), name)); err == nil {
			treetest.Write(t, filepath.Join(dir, "lib/modules", release, name), b)
		}
	}
	for _, name := range []string{"ext4", "btrfs", "usb-storage", "dm-crypt"} {
		got, _, err := Needed(treetest.Open(t, dir), release, []string{name})
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(run(t, modprobe, "-S", release, "-n", "--show-depends", name)) {
			words := strings.Fields(line)
			if len(words) > 1 && words[0] == "insmod" && !slices.Contains(got, words[1][1:]) {
				t.Errorf("%s: %s is missing of %q", name, words[1], got)
			}
		}
	}
}

// FuzzNeeded reads indexes that somebody else made. What it gives is below the root.
func FuzzNeeded(f *testing.F) {
	f.Add(indexes["modules.dep"], indexes["modules.softdep"], indexes["modules.alias"], indexes["modules.builtin"], indexes["modules.builtin.modinfo"], "ext4")
	f.Fuzz(func(t *testing.T, dep, softdep, alias, builtin, info, name string) {
		n := &needed{dir: "d", modules: map[string]*neededModule{}, builtin: map[string]bool{}}
		lines, err := parseDep([]byte(dep))
		if err != nil {
			return
		}
		n.addDep(lines)
		n.parseSoftdeps([]byte(softdep))
		n.parseAliases([]byte(alias))
		n.parseBuiltin([]byte(builtin))
		n.parseBuiltinInfo([]byte(info))
		paths, unknown := n.closure([]string{name})
		if len(paths) > len(lines) || len(unknown) > 1 {
			t.Errorf("%q, unknown %q of %d modules", paths, unknown, len(lines))
		}
	})
}
