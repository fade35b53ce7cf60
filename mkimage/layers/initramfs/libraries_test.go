package initramfs

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/internal/test/oracle"
	"deltaup/mkimage/tree"
)

// memory is a tree in memory: contents by path, "-> TARGET" for symbolic links, "" for folders.
type memory struct {
	entries []tree.Entry
	bytes   []string
}

func newMemory(files map[string]string) *memory {
	all := map[string]string{"": ""}
	for name, text := range files {
		all[name] = text
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, ok := all[dir]; !ok {
				all[dir] = ""
			}
		}
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.SortFunc(names, tree.Compare)
	m := &memory{}
	for _, name := range names {
		e := tree.Entry{Path: name, Attr: tree.Attr{Type: tree.Regular, Mode: 0o755}, Size: int64(len(all[name]))}
		if target, ok := strings.CutPrefix(all[name], "-> "); ok {
			e = tree.Entry{Path: name, Attr: tree.Attr{Type: tree.Symlink, Target: target}}
		} else if all[name] == "" {
			e = tree.Entry{Path: name, Attr: tree.Attr{Type: tree.Directory, Mode: 0o755}}
		}
		m.entries, m.bytes = append(m.entries, e), append(m.bytes, all[name])
	}
	return m
}

func (m *memory) Entries() []tree.Entry { return m.entries }
func (m *memory) Warnings() []string    { return nil }
func (m *memory) Close() error          { return nil }
func (m *memory) Open(i int) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(m.bytes[i])), nil
}

// program makes a tiny ELF file of 64 bits: an interpreter unless that is "", and what it needs.
func program(interpreter, rpath, runpath string, needs ...string) string {
	texts := "\x00"
	add := func(s string) uint64 {
		at := len(texts)
		texts += s + "\x00"
		return uint64(at)
	}
	var tags []uint64
	for _, n := range needs {
		tags = append(tags, uint64(elf.DT_NEEDED), add(n))
	}
	if rpath != "" {
		tags = append(tags, uint64(elf.DT_RPATH), add(rpath))
	}
	if runpath != "" {
		tags = append(tags, uint64(elf.DT_RUNPATH), add(runpath))
	}
	const headers = 64 + 3*56
	tags = append(tags, uint64(elf.DT_STRTAB), headers, uint64(elf.DT_STRSZ), uint64(len(texts)), 0, 0)
	at := uint64(headers + len(texts))
	size := at + uint64(8*len(tags)+len(interpreter)+1)

	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, binary.LittleEndian, v) // to memory
		}
	}
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	count := uint16(3)
	if interpreter == "" {
		count = 2
	}
	put(uint16(elf.ET_DYN), uint16(elf.EM_X86_64), uint32(1), uint64(0), uint64(64), uint64(0), uint32(0), uint16(64), uint16(56), count, uint16(0), uint16(0), uint16(0))
	segment := func(kind elf.ProgType, off, n uint64) {
		put(uint32(kind), uint32(0), off, off, off, n, n, uint64(8))
	}
	segment(elf.PT_LOAD, 0, size)
	segment(elf.PT_DYNAMIC, at, uint64(8*len(tags)))
	segment(elf.PT_INTERP, at+uint64(8*len(tags)), uint64(len(interpreter)+1))
	b.WriteString(texts)
	put(tags)
	b.WriteString(interpreter + "\x00")
	return b.String()
}

// closure gives what is taken for programs, apart from folders.
func closure(t tree.Tree, names ...string) ([]string, error) {
	in := newSelection(t)
	for _, n := range names {
		if _, err := in.take(n); err != nil {
			return nil, err
		}
	}
	if err := in.takeLibraries(t); err != nil {
		return nil, err
	}
	var taken []string
	for _, e := range in.Entries() {
		if e.Type != tree.Directory {
			taken = append(taken, e.Path)
		}
	}
	return taken, nil
}

func TestLibraries(t *testing.T) {
	other := program("", "", "")
	other = other[:18] + "\x03" + other[19:] // of another machine
	files := map[string]string{
		"lib": "-> usr/lib", "usr/lib/ld.so": program("", "", ""), "etc/ld.so.conf": "/opt/lib\n",
		"usr/lib/liba.so.1": "-> liba.so.1.2", "usr/lib/liba.so.1.2": program("", "", "", "libb.so"), "usr/lib/libb.so": program("", "", "", "liba.so.1"),
		"opt/lib/libb.so":          other,
		"usr/lib/private/libc.so":  program("", "", ""),
		"usr/lib/private/libd.so":  program("", "", "", "libc.so"),
		"usr/bin/plain":            program("/lib/ld.so", "", "", "liba.so.1", "ld.so"),
		"usr/bin/static":           program("", "", ""),
		"usr/bin/runpath":          program("/lib/ld.so", "", "$ORIGIN/../lib/private", "libc.so"),
		"usr/bin/rpath":            program("/lib/ld.so", "/lib/private:", "", "libd.so"),
		"usr/bin/unheard":          program("/lib/ld.so", "/lib/private", "/nosuch", "libd.so"),
		"usr/bin/runpath-for-self": program("/lib/ld.so", "", "/lib/private", "libd.so"),
		"usr/bin/path":             program("/lib/ld.so", "", "", "/lib/private/libc.so"),
		"usr/bin/lacks":            program("/lib/ld.so", "", "", "libnone.so"),
		"usr/bin/no-linker":        program("/lib/ld-none.so", "", ""),
		"usr/bin/script":           "#! /usr/bin/../bin/plain -x\n",
		"usr/bin/text":             "nothing",
		"usr/bin/link":             "-> ../../alternatives/link", "alternatives/link": "-> /usr/bin/static",
		"usr/bin/circle": "-> circle",
		"usr/bin/cut":    files0[:70],
	}
	for name, want := range map[string]string{
		"usr/bin/plain":            "lib usr/bin/plain usr/lib/ld.so usr/lib/liba.so.1 usr/lib/liba.so.1.2 usr/lib/libb.so",
		"usr/bin/static":           "usr/bin/static",
		"usr/bin/runpath":          "lib usr/bin/runpath usr/lib/ld.so usr/lib/private/libc.so",
		"usr/bin/rpath":            "lib usr/bin/rpath usr/lib/ld.so usr/lib/private/libc.so usr/lib/private/libd.so",
		"usr/bin/unheard":          "! needs the library libd.so",
		"usr/bin/runpath-for-self": "! /usr/lib/private/libd.so needs the library libc.so",
		"usr/bin/path":             "lib usr/bin/path usr/lib/ld.so usr/lib/private/libc.so",
		"usr/bin/lacks":            "! /usr/bin/lacks needs the library libnone.so, which the tree lacks",
		"usr/bin/no-linker":        "! its dynamic linker",
		"usr/bin/script":           "lib usr/bin/plain usr/bin/script usr/lib/ld.so usr/lib/liba.so.1 usr/lib/liba.so.1.2 usr/lib/libb.so",
		"usr/bin/text":             "usr/bin/text",
		"usr/bin/link":             "alternatives/link usr/bin/link usr/bin/static",
		"usr/bin/circle":           "! too many symbolic links",
		"usr/bin/cut":              "! damaged ELF file",
		"usr/bin/none":             "! /usr/bin/none: file does not exist in the tree",
	} {
		got, err := closure(newMemory(files), name)
		if text, fails := strings.CutPrefix(want, "! "); fails {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, want %q", name, err, text)
			}
			continue
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s:\n%q, %v\nwant %q", name, got, err, want)
		}
	}
}

var files0 = program("/lib/ld.so", "", "", "liba.so.1")

// hostTree is a part of this machine's file system: some folders without those in them.
type hostTree struct{ memory }

func newHostTree(t *testing.T, dirs ...string) *hostTree {
	t.Helper()
	files := map[string]string{}
	for _, dir := range dirs {
		list, err := os.ReadDir("/" + dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			name := path.Join(dir, e.Name())
			switch target, err := os.Readlink("/" + name); {
			case err == nil:
				files[name] = "-> " + target
			case e.Type().IsRegular():
				files[name] = "a file"
			}
		}
	}
	h := &hostTree{*newMemory(files)}
	for i := range h.entries {
		if e := &h.entries[i]; e.Type == tree.Regular {
			info, err := os.Stat("/" + e.Path)
			if err != nil {
				t.Fatal(err)
			}
			e.Size, e.Mode = info.Size(), uint16(info.Mode().Perm())
		}
	}
	return h
}

func (h *hostTree) Open(i int) (io.ReadCloser, error) { return os.Open("/" + h.entries[i].Path) }

// TestLikeLdd compares what programs of this machine need with what ldd lists.
func TestLikeLdd(t *testing.T) {
	oracle.Need(t, "ldd")
	links := []string{}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		if target, err := os.Readlink("/" + dir); err == nil {
			links = append(links, dir, target)
		}
	}
	libraries, err := filepath.Glob("/usr/lib/*-linux-gnu")
	if err != nil || len(libraries) == 0 {
		t.Skip("no folder of libraries as in Debian")
	}
	host := newHostTree(t, append([]string{"", "usr/bin", "usr/sbin", "usr/lib64", "lib64", "usr/lib", "etc", "etc/ld.so.conf.d", "etc/alternatives", "usr/lib/systemd"}, strings.TrimPrefix(libraries[0], "/"), libraries[0][1:]+"/systemd")...)
	compared := 0
	for _, name := range []string{"dash", "bash", "mount", "losetup", "blkid", "sed", "kmod", "od", "perl", "git", "openssl", "systemctl", "udevadm", "busybox", "gpg"} {
		file, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		out, err := exec.Command("ldd", file).CombinedOutput()
		if err != nil {
			continue // a static one
		}
		compared++
		real := func(p string) string {
			at, err := filepath.EvalSymlinks(p)
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimPrefix(at, "/")
		}
		want := []string{real(file)}
		for line := range strings.Lines(string(out)) {
			words := strings.Fields(line)
			for i, w := range words {
				if strings.HasPrefix(w, "/") && i != len(words)-1 && (i == 0 || words[i-1] == "=>") {
					want = append(want, real(w))
				}
			}
		}
		slices.SortFunc(want, tree.Compare)
		want = slices.Compact(want)
		taken, err := closure(host, file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, p := range taken {
			if info, err := os.Lstat("/" + p); err == nil && info.Mode().IsRegular() {
				got = append(got, p)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%q\nldd: %q", name, got, want)
		}
	}
	if compared < 3 {
		t.Skipf("%d programs of %v are here", compared, links)
	}
	t.Logf("%d programs", compared)
}

// FuzzClosure takes programs, links and settings that somebody else made. It must end, and what it
// takes must lie in the tree.
func FuzzClosure(f *testing.F) {
	f.Add(files0, "-> b/../../x", "#!/a\n", "a")
	f.Add(program("/a", "$ORIGIN:$LIB", "", "b", "/c/d"), "-> /a/..", files0[:100], "../c")
	f.Add(program("", "", "$ORIGIN/${LIB}", "a"), "-> c", "-> a", "/a/./b")
	f.Fuzz(func(t *testing.T, a, b, c, name string) {
		host := newMemory(map[string]string{"a": a, "lib/b": b, "c/d": c, "etc/ld.so.conf": "/c\n"})
		taken, err := closure(host, name)
		if err != nil {
			return
		}
		for _, p := range taken {
			if !slices.ContainsFunc(host.entries, func(e tree.Entry) bool { return e.Path == p }) {
				t.Errorf("%q is not of the tree", p)
			}
		}
	})
}

// FuzzInterpreter: what a script names begins with a slash, and is one word.
func FuzzInterpreter(f *testing.F) {
	f.Add([]byte("#!/bin/sh -e\n"))
	f.Add([]byte("#! bin"))
	f.Fuzz(func(t *testing.T, head []byte) {
		if name, ok := interpreter(head); ok && (name[0] != '/' || strings.ContainsAny(name, " \n\t")) {
			t.Errorf("%q", name)
		}
	})
}
