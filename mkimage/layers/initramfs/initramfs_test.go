package initramfs

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/internal/test/debtest"
	"deltaup/internal/test/oracle"
	"deltaup/mkimage/initrd"
	"deltaup/mkimage/layers"
	"deltaup/mkimage/tree"
)

const version = "6.1.0-test"

func gzipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// system is a package with all that an initrd needs, in tiny ELF files.
func system(t testing.TB) []debtest.File {
	files := []debtest.File{
		{Name: "usr/lib/ld.so", Content: program("", "", ""), Mode: 0o755}, {Name: "usr/lib/liba.so.1", Link: "liba.so.1.2"},
		{Name: "usr/lib/liba.so.1.2", Content: program("", "", "")},
		{Name: "usr/bin/dash", Content: program("/lib/ld.so", "", "", "liba.so.1"), Mode: 0o755}, {Name: "bin/sh", Link: "dash"},
		{Name: "usr/bin/kmod", Content: program("/lib/ld.so", "", ""), Mode: 0o755}, {Name: "sbin/modprobe", Link: "../bin/kmod"},
		{Name: "usr/bin/unused", Content: "unused", Mode: 0o755}, {Name: "etc/modprobe.d/x.conf", Content: "blacklist x\n"},
		{Name: "usr/lib/plugin.so", Content: program("", "", "", "libdeep.so")}, {Name: "usr/lib/libdeep.so", Content: program("", "", "")},
		{Name: "usr/share/firmware/a", Content: "a"}, {Name: "usr/share/firmware/b/c", Content: "c"},
		{Name: "boot/vmlinuz-" + version, Content: "kernel"},
		{Name: "boot/ucode.img", Content: "070701" + strings.Repeat("x", 3)},
		{Name: "lib/firmware/intel-ucode/06-01", Content: "one"}, {Name: "lib/firmware/intel-ucode/06-02", Content: "two"},
	}
	for _, name := range tools {
		files = append(files, debtest.File{Name: "usr/sbin/" + name, Content: program("/lib/ld.so", "", "", "liba.so.1"), Mode: 0o755})
	}
	module := func(name, text string) {
		files = append(files, debtest.File{Name: "lib/modules/" + version + "/" + name, Content: text})
	}
	module("kernel/fs/squashfs.ko", "squashfs")
	module("kernel/drivers/nvme.ko.gz", gzipped(t, "nvme"))
	module("kernel/drivers/nvme-core.ko.gz", gzipped(t, "nvme-core"))
	module("kernel/drivers/special.ko", "special")
	module("kernel/sound/snd.ko", "snd")
	module("modules.dep", "kernel/fs/squashfs.ko:\nkernel/drivers/nvme.ko.gz: kernel/drivers/nvme-core.ko.gz\nkernel/drivers/nvme-core.ko.gz:\nkernel/drivers/special.ko:\nkernel/sound/snd.ko:\n")
	module("modules.builtin", "kernel/fs/ext4.ko\n")
	return files
}

// composed gives the definition and the tree of one package.
func composed(t testing.TB, settings string, files []debtest.File) (*layers.Definition, tree.Tree) {
	t.Helper()
	dir := t.TempDir()
	p := debtest.Package{Name: "system", Files: files}
	b := p.Bytes(t)
	sum := sha256.Sum256(b)
	text := "architecture = \"amd64\"\ntime = 1700000000\n[rules]\ndepmod = false\n[[layer]]\nname = \"debian\"\npackages = [\"x\"]\n[initrd]\n" + settings
	for name, content := range map[string]string{"p.deb": string(b), "image.toml": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d, err := layers.ReadDefinition(filepath.Join(dir, "image.toml"))
	if err != nil {
		t.Fatal(err)
	}
	lock := &layers.Lock{Layers: d.LockedLayers(), Packages: []layers.Locked{{
		Layer: "debian", Name: p.Name, Version: "1", Architecture: "amd64", Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:]),
	}}}
	made, err := layers.Compose(t.Context(), d, layers.Options{Lock: lock,
		Package: func(context.Context, layers.Locked) (string, error) { return filepath.Join(dir, "p.deb"), nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { made.Close() })
	return d, made
}

// write gives the initrd.
func write(t testing.TB, settings string, files []debtest.File) ([]byte, error) {
	t.Helper()
	d, made := composed(t, settings, files)
	var b bytes.Buffer
	err := Write(t.Context(), &b, made, &d.Initrd, d.Time)
	return b.Bytes(), err
}

// members gives the paths in an initrd, and contents of its files by path. It demands that deltaup
// makes the initrd again as it is.
func members(t testing.TB, b []byte) (names []string, contents map[string]string) {
	t.Helper()
	spool, err := os.Create(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	r, src, err := initrd.NewRecipe(t.Context(), bytes.NewReader(b), initrd.Options{Spool: spool})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.FindCodec(t.Context(), src, io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))); err != nil {
		t.Error(err)
	}
	contents = map[string]string{}
	for m := range r.Members() {
		names = append(names, m.Name)
		if m.Content == nil {
			continue
		}
		in, err := src.Open(context.Background(), m.Content)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err := errors.Join(err, in.Close()); err != nil {
			t.Fatal(err)
		}
		contents[m.Name] = string(text)
	}
	return names, contents
}

func TestWrite(t *testing.T) {
	const settings = `modules = ["special"]
programs = ["/usr/bin/kmod"]
files = ["/usr/lib/plugin.so", "/usr/share/firmware"]
microcode = ["/lib/firmware/intel-ucode"]
`
	b, err := write(t, settings, system(t))
	if err != nil {
		t.Fatal(err)
	}
	names, contents := members(t, b)
	at := slices.Index(names, "TRAILER!!!") + 1
	if early := strings.Join(names[:at], " "); early != "kernel kernel/x86 kernel/x86/microcode kernel/x86/microcode/GenuineIntel.bin TRAILER!!!" {
		t.Errorf("first: %q", early)
	}
	names = names[at : len(names)-1]
	if !slices.IsSortedFunc(names, tree.Compare) {
		t.Errorf("not in path order: %q", names)
	}
	const dir = "usr/lib/modules/" + version + "/"
	for _, name := range []string{"init", "bin", "lib", "sbin", "usr/bin/sh", "usr/sbin/modprobe", "usr/lib/liba.so.1", "usr/lib/libdeep.so", "usr/share/firmware/b/c",
		"etc/modprobe.d/x.conf", "usr/lib/deltaup/deltaup.sh", "proc", "sysroot", dir + "modules.dep.bin"} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is missing", name)
		}
	}
	for _, name := range []string{"usr/bin/unused", dir + "kernel/sound/snd.ko", dir + "modules.order", dir + "modules.builtin", "boot"} {
		if slices.Contains(names, name) {
			t.Errorf("%s is there", name)
		}
	}
	for name, want := range map[string]string{
		dir + "kernel/drivers/nvme.ko": "nvme", dir + "kernel/drivers/nvme-core.ko": "nvme-core", dir + "kernel/drivers/special.ko": "special",
		dir + "kernel/fs/squashfs.ko": "squashfs", "usr/lib/deltaup/modules": "special\n", "kernel/x86/microcode/GenuineIntel.bin": "onetwo",
	} {
		if contents[name] != want {
			t.Errorf("%s has %q, want %q", name, contents[name], want)
		}
	}
	again, err := write(t, settings, system(t))
	if err != nil || !bytes.Equal(b, again) {
		t.Errorf("another initrd of the same tree, %v", err)
	}
	plain, err := write(t, "compress = \"none\"\n"+settings, system(t))
	if err != nil || len(plain) <= len(b) || string(plain[:6]) != archiveMagic {
		t.Fatalf("plain: %d bytes, compressed %d, %v", len(plain), len(b), err)
	}
	if all, same := members(t, plain); len(all) != at+len(names)+1 || same["init"] != contents["init"] {
		t.Errorf("plain: %d members, compressed %d", len(all), at+len(names)+1)
	}
}

// TestLikeCpio has cpio itself read an archive.
func TestLikeCpio(t *testing.T) {
	oracle.Need(t, "cpio")
	b, err := write(t, "compress = \"none\"\n", system(t))
	if err != nil {
		t.Fatal(err)
	}
	list := exec.Command("cpio", "-itv", "--numeric-uid-gid", "--quiet")
	list.Stdin, list.Env = bytes.NewReader(b), []string{"TZ=UTC", "LC_ALL=C"}
	out, err := list.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	names, _ := members(t, b)
	if n := strings.Count(string(out), "\n"); n != len(names)-1 {
		t.Errorf("cpio lists %d members of %d", n, len(names)-1)
	}
	for _, want := range []string{"-rwxr-xr-x   1 0        0 ", "drwxr-xr-x   2 0        0               0 Nov 14  2023 proc\n", " usr/bin/sh -> dash\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// TestBusybox: busybox stands for tools that are missing, but not for those of util-linux.
func TestBusybox(t *testing.T) {
	files := slices.DeleteFunc(system(t), func(f debtest.File) bool {
		return slices.Contains(tools, filepath.Base(f.Name)) && !slices.Contains(ofUtilLinux, filepath.Base(f.Name))
	})
	box := debtest.File{Name: "usr/bin/busybox", Content: program("", "", ""), Mode: 0o755}
	b, err := write(t, "", append(files, box))
	if err != nil {
		t.Fatal(err)
	}
	if names, _ := members(t, b); !slices.Contains(names, "usr/bin/mount") || !slices.Contains(names, "usr/bin/busybox") || !slices.Contains(names, "usr/sbin/losetup") {
		t.Errorf("has %q", names)
	}
	files = slices.DeleteFunc(files, func(f debtest.File) bool { return f.Name == "usr/sbin/losetup" })
	if _, err := write(t, "", append(files, box, debtest.File{Name: "usr/sbin/losetup", Link: "../bin/busybox"})); err == nil || !strings.Contains(err.Error(), "that of util-linux") {
		t.Errorf("busybox' losetup: %v", err)
	}
}

func TestRefused(t *testing.T) {
	without := func(name string) []debtest.File {
		return slices.DeleteFunc(system(t), func(f debtest.File) bool { return f.Name == name })
	}
	with := func(f ...debtest.File) []debtest.File { return append(system(t), f...) }
	for name, c := range map[string]struct {
		settings string
		files    []debtest.File
		want     string
	}{
		"no tool":          {"", without("usr/sbin/losetup"), "the tree has no program losetup"},
		"no shell":         {"", without("usr/bin/dash"), "/bin/sh: file does not exist"},
		"no module":        {`modules = ["nosuch"]`, system(t), "has no module nosuch"},
		"built in":         {`modules = ["ext4"]`, system(t), ""},
		"no program":       {`programs = ["nosuch"]`, system(t), "no program nosuch"},
		"no such path":     {`programs = ["usr/nosuch"]`, system(t), "/usr/nosuch: file does not exist"},
		"a folder":         {`programs = ["usr/bin/"]`, system(t), "is no file"},
		"no file":          {`files = ["nosuch"]`, system(t), "/nosuch: file does not exist"},
		"no library":       {`programs = ["x"]`, with(debtest.File{Name: "usr/bin/x", Content: program("/lib/ld.so", "", "", "none.so"), Mode: 0o755}), "needs the library none.so"},
		"two kernels":      {"", with(debtest.File{Name: "lib/modules/2/x"}), `kernel is missing: the tree has modules of ["2" "6.1.0-test"]`},
		"one of two":       {`kernel = "6.1.0-test"`, with(debtest.File{Name: "lib/modules/2/x"}), ""},
		"another kernel":   {`kernel = "7"`, system(t), "no modules of 7"},
		"no modules.dep":   {"", without("lib/modules/" + version + "/modules.dep"), "no modules.dep"},
		"damaged module":   {"", append(without("lib/modules/"+version+"/kernel/drivers/nvme.ko.gz"), debtest.File{Name: "lib/modules/" + version + "/kernel/drivers/nvme.ko.gz", Content: "x"}), "nvme.ko.gz"},
		"microcode":        {`microcode = ["boot/vmlinuz-6.1.0-test"]`, system(t), "no plain cpio archive"},
		"no microcode":     {`microcode = ["boot/nosuch"]`, system(t), "has it not"},
		"other folder":     {`microcode = ["boot"]`, system(t), "intel-ucode"},
		"level":            {`compress = "hardest"`, system(t), "compress: "},
		"udev":             {`udev = true`, system(t), "systemd-udevd: file does not exist"},
		"links in circles": {`files = ["l"]`, with(debtest.File{Name: "l", Link: "m"}, debtest.File{Name: "m", Link: "l"}), "too many symbolic links"},
	} {
		_, err := write(t, c.settings, c.files)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, settings := range []string{`modules = ["../x"]`, `files = ["../x"]`, `programs = ["a/../../b"]`, `kernel = "a/b"`, `other = 1`} {
		path := filepath.Join(t.TempDir(), "image.toml")
		if err := os.WriteFile(path, []byte("time = 1\n[[layer]]\nname = \"x\"\nfolder = \".\"\n[initrd]\n"+settings), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := layers.ReadDefinition(path); !errors.Is(err, layers.ErrDefinition) {
			t.Errorf("%s: %v", settings, err)
		}
	}
}

func TestWriteKernel(t *testing.T) {
	other := debtest.File{Name: "boot/vmlinuz-7", Content: "other"}
	for name, c := range map[string]struct {
		files []debtest.File
		want  string // "": refused
	}{
		"in boot":            {append(system(t), other), "kernel"},
		"beside its modules": {[]debtest.File{{Name: "lib/modules/7/vmlinuz", Content: "beside"}}, "beside"},
		"another name":       {[]debtest.File{{Name: "lib/modules/7-virt/x"}, {Name: "boot/vmlinuz-virt", Content: "virt"}, {Name: "boot/vmlinuz", Link: "vmlinuz-virt"}}, "virt"},
		"no modules":         {[]debtest.File{other}, "other"},
		"two":                {[]debtest.File{other, {Name: "boot/vmlinuz-8", Content: "8"}}, ""},
		"none":               {[]debtest.File{{Name: "lib/modules/7/x"}}, ""},
	} {
		d, made := composed(t, "", c.files)
		var b bytes.Buffer
		err := WriteKernel(&b, made, &d.Initrd)
		if b.String() != c.want || (c.want == "") != errors.Is(err, layers.ErrDefinition) {
			t.Errorf("%s: %q, %v", name, b.String(), err)
		}
	}
}

// TestArchivesOfMicrocode: an archive of the tree is put in front as it is, and aligned.
func TestArchivesOfMicrocode(t *testing.T) {
	b, err := write(t, `microcode = ["boot/ucode.img", "lib/firmware/intel-ucode"]`, system(t))
	if err != nil {
		t.Fatal(err)
	}
	if want := "070701xxx\x00\x00\x00070701"; !strings.HasPrefix(string(b), want) {
		t.Errorf("begins with %q, want %q", b[:len(want)], want)
	}
}
