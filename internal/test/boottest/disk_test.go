package boottest

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	sector = 512
	mib    = 1 << 20

	bootUUID = "0fc63daf-8483-4772-8e79-3d69d8477de4" // of an ext4 BOOT
	bootFAT  = "0FC63DAF"                             // volume id of a FAT BOOT
)

// layout is what a disk holds: a partition for UEFI's files, BOOT, and raw partitions.
type layout struct {
	fs    string            // file system of BOOT: "ext4" or "vfat"
	boot  int64             // size of BOOT in bytes
	files map[string][]byte // of BOOT, by path
	uefi  bool
	raw   [][]byte // contents of further partitions, in whole sectors
	lacks []string // modules that GRUB does not get
}

// disk is a disk image that GRUB boots from.
type disk struct {
	path string
	fs   string
	boot int64   // offset of BOOT in bytes
	raw  []int64 // offsets of the raw partitions
}

// uuid is the name by which GRUB's search finds BOOT.
func (l *layout) uuid() string {
	if l.fs == "vfat" {
		return bootFAT[:4] + "-" + bootFAT[4:]
	}
	return bootUUID
}

// newDisk makes a disk with primary partitions: UEFI's, BOOT, and the raw ones.
func newDisk(t testing.TB, l layout) *disk {
	t.Helper()
	dir := tempDir(t)
	d := &disk{path: filepath.Join(dir, "disk"), fs: l.fs}
	parts := []struct {
		kind byte
		size int64
	}{{0xef, mib}, {0x83, l.boot}}
	if l.uefi {
		parts[0].size = 8 * mib
	}
	for _, r := range l.raw {
		parts = append(parts, struct {
			kind byte
			size int64
		}{0x83, int64(len(r))})
	}
	mbr := make([]byte, sector)
	at := int64(mib)
	var starts []int64
	for i, p := range parts {
		entry := mbr[446+16*i:]
		entry[4] = p.kind
		binary.LittleEndian.PutUint32(entry[8:], uint32(at/sector))
		binary.LittleEndian.PutUint32(entry[12:], uint32(p.size/sector))
		starts = append(starts, at)
		at += (p.size + mib - 1) / mib * mib
	}
	d.boot, d.raw = starts[1], starts[2:]
	f, err := os.Create(d.path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	put := func(b []byte, off int64) {
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(at); err != nil {
		t.Fatal(err)
	}
	loader, core := biosLoader(t, l.lacks)
	copy(mbr, loader)
	copy(mbr[510:], "\x55\xaa")
	put(mbr, 0)
	put(core, sector)
	for i, r := range l.raw {
		put(r, d.raw[i])
	}
	if l.uefi {
		fat{starts[0], parts[0].size, "EF1"}.make(t, d.path, map[string][]byte{"/EFI/BOOT/BOOTX64.EFI": efiLoader(t)})
	}
	if l.fs == "vfat" {
		fat{d.boot, l.boot, bootFAT}.make(t, d.path, l.files)
		return d
	}
	tree := filepath.Join(dir, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range l.files {
		writeFile(t, filepath.Join(tree, name), b)
	}
	tool(t, "mke2fs", "-q", "-F", "-t", "ext4", "-U", bootUUID, "-d", tree, "-E", fmt.Sprintf("offset=%d", d.boot), d.path, fmt.Sprintf("%dk", l.boot>>10))
	os.RemoveAll(tree)
	return d
}

// fat is a FAT file system within an image of a disk.
type fat struct {
	off, size int64
	id        string
}

// make makes the file system in the image, with files.
func (f fat) make(t testing.TB, image string, files map[string][]byte) {
	t.Helper()
	tool(t, "mkfs.fat", "-i", f.id, "--offset", fmt.Sprint(f.off/sector), image, fmt.Sprint(f.size>>10))
	at := fmt.Sprintf("%s@@%d", image, f.off)
	var folders []string
	for name := range files {
		for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
			folders = append(folders, dir)
		}
	}
	slices.Sort(folders)
	for _, dir := range slices.Compact(folders) {
		tool(t, "mmd", "-i", at, "::"+dir)
	}
	for name, b := range files {
		temp := filepath.Join(tempDir(t), "file")
		writeFile(t, temp, b)
		tool(t, "mcopy", "-i", at, temp, "::"+name)
	}
}

// read gives a file of BOOT without replaying a journal, or nil when there is no such file.
func (d *disk) read(t testing.TB, name string) []byte {
	t.Helper()
	return readFrom(t, d.fs, d.path, d.boot, name)
}

// readFrom reads a file from a file system at an offset in an image. It gives nil when there is no
// such file.
func readFrom(t testing.TB, fs, image string, off int64, name string) []byte {
	t.Helper()
	dir := tempDir(t)
	defer os.RemoveAll(dir) // thousands of calls would leave thousands of folders
	out := filepath.Join(dir, "file")
	if fs == "vfat" {
		cmd := exec.Command("mcopy", "-n", "-i", fmt.Sprintf("%s@@%d", image, off), "::"+name, out)
		if err := cmd.Run(); err != nil {
			return nil
		}
	} else {
		tool(t, "debugfs", "-R", fmt.Sprintf("dump %s %s", name, out), fmt.Sprintf("%s?offset=%d", image, off))
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return nil
	}
	return b
}

const (
	biosModules = "/usr/lib/grub/i386-pc"
	efiModules  = "/usr/lib/grub/x86_64-efi"
)

// modules are those modules in the GRUBs that distributions sign which the script needs.
var modules = strings.Fields("part_msdos ext2 fat normal configfile linux test loadenv search search_fs_uuid echo sleep reboot serial terminal minicmd")

var cores struct {
	sync.Mutex
	made map[string][]byte
}

// core makes GRUB in one file, which reads its configuration from BOOT. There are no other modules
// than those in it.
func core(t testing.TB, format, folder string, mods []string) []byte {
	t.Helper()
	cores.Lock()
	defer cores.Unlock()
	key := format + " " + strings.Join(mods, " ")
	if b, ok := cores.made[key]; ok {
		return b
	}
	out := filepath.Join(tempDir(t), "core")
	tool(t, "grub-mkimage", append([]string{"-d", folder, "-O", format, "-o", out, "-p", "(hd0,msdos2)/grub"}, mods...)...)
	if cores.made == nil {
		cores.made = map[string][]byte{}
	}
	cores.made[key] = readFile(t, out)
	return cores.made[key]
}

// biosLoader gives the code of the first sector, and what it loads from the second sector on, the
// default place.
func biosLoader(t testing.TB, lacks []string) (loader, rest []byte) {
	mods := slices.DeleteFunc(append([]string{"biosdisk"}, modules...), func(m string) bool { return slices.Contains(lacks, m) })
	loader = readFile(t, biosModules+"/boot.img")[:440]
	copy(loader[0x66:], "\x90\x90") // use the drive's number that the BIOS gives
	return loader, core(t, "i386-pc", biosModules, mods)
}

func efiLoader(t testing.TB) []byte { return core(t, "x86_64-efi", efiModules, modules) }
