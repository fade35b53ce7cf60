package ldcache

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/internal/test/oracle"
	"deltaup/internal/test/treetest"
)

// testLibrary is a small shared library.
type testLibrary struct {
	class   elf.Class // 0: 64 bits
	machine elf.Machine
	flags   uint32
	soname  string // "": none
	needed  string
	isa     uint32 // bits of the levels that it needs; 0: no note
}

// bytes are headers, note, strings and dynamic section, in this order.
func (l testLibrary) bytes() []byte {
	le := binary.LittleEndian
	word, header, program := 8, 64, 56
	if l.class == elf.ELFCLASS32 {
		word, header, program = 4, 52, 32
	}
	num := func(b []byte, n int) []byte {
		if word == 4 {
			return le.AppendUint32(b, uint32(n))
		}
		return le.AppendUint64(b, uint64(n))
	}
	var note []byte
	if l.isa != 0 {
		for _, n := range []uint32{4, uint32(8 + word), 5, 0x554e47, 0xc0008002, 4, l.isa} {
			note = le.AppendUint32(note, n)
		}
		note = append(note, make([]byte, word-4)...)
	}
	strings := "\x00" + l.soname + "\x00" + l.needed + "\x00"
	strings += "\x00\x00\x00\x00\x00\x00\x00\x00"[:(8-len(strings)%8)%8]
	notes := (header + 3*program + 7) &^ 7
	table := notes + len(note)
	dynamic := table + len(strings)
	var tags []byte
	tag := func(t elf.DynTag, value int) { tags = num(num(tags, int(t)), value) }
	if l.needed != "" {
		tag(elf.DT_NEEDED, 2+len(l.soname))
	}
	if l.soname != "" {
		tag(elf.DT_SONAME, 1)
	}
	const load = 0x10000
	tag(elf.DT_STRTAB, load+table)
	tag(elf.DT_NULL, 0)

	b := []byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if word == 4 {
		b[4] = byte(elf.ELFCLASS32)
	}
	b = le.AppendUint16(b, uint16(elf.ET_DYN))
	b = le.AppendUint16(b, uint16(l.machine))
	b = le.AppendUint32(b, 1)
	b = num(num(num(b, 0), header), 0)
	b = le.AppendUint32(b, l.flags)
	for _, n := range []int{header, program, 3, 0, 0, 0} {
		b = le.AppendUint16(b, uint16(n))
	}
	segment := func(kind elf.ProgType, off, size, align int) {
		b = le.AppendUint32(b, uint32(kind))
		if word == 8 {
			b = le.AppendUint32(b, 4)
		}
		for _, n := range []int{off, load + off, load + off, size, size} {
			b = num(b, n)
		}
		if word == 4 {
			b = le.AppendUint32(b, 4)
		}
		b = num(b, align)
	}
	segment(elf.PT_LOAD, 0, dynamic+len(tags), 4096)
	segment(elf.PT_DYNAMIC, dynamic, len(tags), 8)
	segment(elf.PT_GNU_PROPERTY, notes, len(note), word)
	b = append(b, make([]byte, notes-len(b))...)
	return slices.Concat(b, note, []byte(strings), tags)
}

// program stands for an ldconfig that says what it is.
func program(machine elf.Machine, text string) []byte {
	b := testLibrary{machine: machine}.bytes()
	return append(b, "\x00"+text+"\x00"...)
}

// populate makes a tree with a bit of everything.
func populate(t testing.TB, root string, machine elf.Machine, merged bool) {
	triplet := triplets[machine]
	at := func(name string) string { return filepath.Join(root, name) }
	lib := func(name, soname string) {
		treetest.Write(t, at(name), testLibrary{machine: machine, soname: soname}.bytes())
	}
	if merged {
		treetest.Link(t, at("lib"), "usr/lib")
		if err := os.MkdirAll(at("usr/lib"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	treetest.Write(t, at("etc/ld.so.conf"), []byte("# comment\ninclude /etc/ld.so.conf.d/*.conf  ld.so.conf.extra\n"+
		"  /opt/last/lib/ \t# why\nhwcap 1 nosegneg\n/opt/none\ninclude\n\n"))
	treetest.Write(t, at("etc/ld.so.conf.extra"), []byte("/opt/extra"))
	treetest.Write(t, at("etc/ld.so.conf.d/b.conf"), []byte("/opt/b\n/opt/../opt/a/\n"))
	treetest.Write(t, at("etc/ld.so.conf.d/a.conf"), []byte("/opt/a/\n/usr/lib/"+triplet+"\n"))
	treetest.Write(t, at("etc/ld.so.conf.d/.hidden.conf"), []byte("/opt/hidden\n"))
	treetest.Write(t, at("etc/ld.so.conf.d/readme"), []byte("/opt/hidden\n"))
	lib("opt/hidden/libhidden.so.1", "libhidden.so.1")
	lib("opt/a/libone.so.1", "libone.so.1")
	lib("opt/b/libone.so.1", "libone.so.1")
	lib("opt/b/libone.so.10", "libone.so.10")
	lib("opt/b/libone.so.9", "libone.so.9")
	lib("opt/extra/libextra.so.2.0.1", "libextra.so.2") // link to make
	lib("opt/extra/libextra.so.2.0.0", "libextra.so.2")
	lib("opt/extra/libnoname.so", "")
	lib("opt/extra/plugin.so", "plugin.so")
	lib("opt/last/lib/libdev.so.3.1", "libdev.so.3")
	treetest.Link(t, at("opt/last/lib/libdev.so.3"), "libdev.so.3.1")
	treetest.Link(t, at("opt/last/lib/libdev.so"), "libdev.so.3.1")
	treetest.Link(t, at("opt/last/lib/libalias.so.7"), "/opt/extra/libnoname.so")
	treetest.Link(t, at("opt/last/lib/libstale.so.1"), "libgone.so.1")
	treetest.Link(t, at("opt/last/lib/libstale.so"), "libgone.so.1")
	lib("opt/last/lib/libmoved.so.2.1", "libmoved.so.2")
	treetest.Link(t, at("opt/last/lib/libmoved.so.2"), "../../extra/libnoname.so") // to be replaced
	lib("opt/last/lib/libreal.so.2.1", "libreal.so.2")
	lib("opt/last/lib/libreal.so.2", "libother.so.5") // no link: not to be replaced
	for _, temporary := range []string{"libd.so.1.dpkg-new", "libe.so.1.dpkg-tmp", "libf.so;1", "libg.so.#prelink#", "libh.so.#prelink#.aBcDeF"} {
		lib("opt/last/lib/"+temporary, strings.ReplaceAll(temporary[:6], ".", "-")+".so.1")
	}
	dir := "usr/lib/" + triplet + "/"
	lib(dir+"libone.so.1", "libone.so.1")
	lib(dir+"glibc-hwcaps/x86-64-v3/libone.so.1.1", "libone.so.1")
	treetest.Write(t, at(dir+"glibc-hwcaps/x86-64-v2/libone.so.1.2"),
		testLibrary{machine: machine, soname: "libone.so.1", isa: 1 << 1}.bytes())
	treetest.Write(t, at(dir+"glibc-hwcaps/x86-64-v4/libfour.so.4"),
		testLibrary{machine: machine, soname: "libfour.so.4", isa: 1<<3 | 1}.bytes())
	lib(dir+"glibc-hwcaps/.hidden/libone.so.1.3", "libone.so.1")
	lib(dir+"glibc-hwcaps/with:colon/libone.so.1.3", "libone.so.1")
	treetest.Write(t, at(dir+"glibc-hwcaps/empty/readme"), "")
	treetest.Write(t, at(dir+"libscript.so"), []byte("/* GNU ld script */ GROUP ( /lib/libc.so.6 )"+strings.Repeat(" ", 64)))
	treetest.Write(t, at(dir+"libempty.so.1"), "")
	treetest.Write(t, at(dir+"libforeign.so.1"), testLibrary{machine: elf.EM_MIPS, soname: "libforeign.so.1"}.bytes())
	lib("usr/lib/libplain.so.1.5", "libplain.so.1")
	lib("usr/lib/notalib.so", "notalib.so")
	lib(dir+"ld-2.31.so", "ld-linux-x86-64.so.2")
	treetest.Link(t, at(dir+"ld-linux-x86-64.so.2"), "libone.so.1") // stays
	lib("usr/lib/ld-2.31.so", "ld-linux-aarch64.so.1")              // link to make
	lib("usr/lib/tls/libtls.so.1", "libtls.so.1")
	lib("usr/lib/tls/haswell/libtls.so.1", "libtls.so.1")
	lib("usr/lib/sse2/libtls.so.1", "libtls.so.1")
	lib("usr/lib/atomics/libtls.so.1", "libtls.so.1")
	arm := machine == elf.EM_AARCH64
	small := elf.EM_386
	if arm {
		small = elf.EM_ARM
	}
	for i, l := range []testLibrary{
		{class: elf.ELFCLASS32, machine: small, needed: "libc.so.6"},
		{class: elf.ELFCLASS32, machine: small},
		{class: elf.ELFCLASS32, machine: elf.EM_X86_64},
		{class: elf.ELFCLASS32, machine: elf.EM_ARM, flags: 0x05000400},
		{class: elf.ELFCLASS32, machine: elf.EM_ARM, flags: 0x05000200},
		{class: elf.ELFCLASS32, machine: elf.EM_ARM, flags: 0x05000000},
	} {
		l.soname = fmt.Sprintf("libsmall%d.so.1", i)
		treetest.Write(t, at("usr/lib/"+l.soname), l.bytes())
	}
	if !merged {
		lib("lib/"+triplet+"/libslash.so.1", "libslash.so.1")
		lib("lib/libslash.so.2", "libslash.so.2")
	}
}

// links are the symbolic links of a folder's tree, by path.
func links(t testing.TB, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() != fs.ModeSymlink {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		found[rel], err = os.Readlink(name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestLikeLdconfig compares cache and links with those of the machine's own ldconfig, which is put
// into the tree.
func TestLikeLdconfig(t *testing.T) {
	ldconfig := oracle.Need(t, "ldconfig")
	if real, err := exec.LookPath("ldconfig.real"); err == nil { // Ubuntu's is a script
		ldconfig = real
	}
	b, err := os.ReadFile(ldconfig)
	if err != nil {
		t.Fatal(err)
	}
	g, ok := parseGlibc(b)
	if !ok {
		t.Skip("the machine's ldconfig is not known")
	}
	for _, merged := range []bool{true, false} {
		root := t.TempDir()
		populate(t, root, g.machine, merged)
		treetest.Write(t, filepath.Join(root, "sbin/ldconfig"), b)
		likeLdconfig(t, root, ldconfig)
	}
}

func likeLdconfig(t *testing.T, root string, ldconfig ...string) {
	t.Helper()
	got, err := Build(treetest.Open(t, root))
	if err != nil {
		t.Fatal(err)
	}
	want := links(t, root)
	if out, err := exec.Command(ldconfig[0], append(ldconfig[1:], "-r", root, "-C", "/etc/ld.so.cache")...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cache, err := os.ReadFile(filepath.Join(root, Path))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Cache, cache) {
		out, err := exec.Command(ldconfig[0], append(ldconfig[1:], "-r", root, "-p")...).CombinedOutput()
		treetest.Write(t, filepath.Join(root, Path), got.Cache)
		out2, err2 := exec.Command(ldconfig[0], append(ldconfig[1:], "-r", root, "-p")...).CombinedOutput()
		t.Errorf("the cache differs: %d bytes %s (%v)\nwanted are %d: %s (%v)", len(got.Cache), out2, err2, len(cache), out, err)
	}
	for _, l := range got.Links {
		want[l.Path] = l.Target
	}
	for _, name := range got.Stale {
		if want[name] == "" {
			t.Errorf("%s is said to dangle", name)
		}
		delete(want, name)
	}
	if len(got.Links) < 3 || len(got.Stale) != 1 {
		t.Errorf("%d links to make, %d to remove: the test shows little", len(got.Links), len(got.Stale))
	}
	made := links(t, root)
	if fmt.Sprint(made) != fmt.Sprint(want) {
		t.Errorf("links\n%v, want\n%v", want, made)
	}
}

// TestGolden makes caches whose hashes are those of what the ldconfig named there wrote, run on the
// same tree.
func TestGolden(t *testing.T) {
	for i, g := range []struct {
		machine elf.Machine
		text    string
		merged  bool
		want    string
	}{
		{elf.EM_X86_64, "ldconfig (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36", true, "1dab4089fe8974da4ef7879a83013e73c4f164345a9a5d25c92bee985f99af3e"},
		{elf.EM_X86_64, "ldconfig (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36", false, "f525ac1b42b4fa42ec2e314822dcf09a6fc4dbb7d759cd5d53282c7d1b5f0517"},
		{elf.EM_X86_64, "ldconfig (Debian GLIBC 2.41-12+deb13u5) stable release version 2.41", true, "ebf32ee6773ffff4756a2c333b8bfb414b904b1010f4e2389bf1892a85ead0c7"},
		{elf.EM_X86_64, "ldconfig (Debian GLIBC 2.41-12+deb13u5) stable release version 2.41", false, "2371d87b5af1ac621b7df78b07ca932eddc721bccc7f61aec90dd9cf6b9bb5f6"},
		{elf.EM_AARCH64, "ldconfig (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36", true, "6bec7e89a697ebabbc033328daa05455a919b77fc29c48c56db12832ec7e2657"},
		{elf.EM_AARCH64, "ldconfig (Debian GLIBC 2.41-12+deb13u5) stable release version 2.41", true, "2c22009d851ab8addc8d29534d44b56d58e1312222c4b30d91a503a80c87e942"},
	} {
		root := t.TempDir()
		populate(t, root, g.machine, g.merged)
		treetest.Write(t, filepath.Join(root, "sbin/ldconfig"), program(g.machine, g.text))
		if real := os.Getenv(fmt.Sprint("DELTAUP_LDCONFIG_", i)); real != "" { // that one, to make the hash
			likeLdconfig(t, root, strings.Fields(real)...)
			root = t.TempDir()
			populate(t, root, g.machine, g.merged)
			treetest.Write(t, filepath.Join(root, "sbin/ldconfig"), program(g.machine, g.text))
		}
		r, err := Build(treetest.Open(t, root))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(r.Cache)); got != g.want {
			t.Errorf("%s on %s: %s, want %s", g.text, g.machine, got, g.want)
		}
	}
}

// TestRefused demands an error for trees without a known ldconfig and for hostile configurations.
func TestRefused(t *testing.T) {
	known := program(elf.EM_X86_64, "ldconfig (Debian GLIBC 2.36-9) stable release version 2.36")
	for name, c := range map[string]struct {
		files map[string]string
		want  error
	}{
		"nothing":  {nil, ErrUnknown},
		"musl":     {map[string]string{"sbin/ldconfig": "#!/bin/sh\n" + strings.Repeat(" ", 99)}, ErrUnknown},
		"old":      {map[string]string{"sbin/ldconfig": string(program(elf.EM_X86_64, "ldconfig (Debian GLIBC 2.31-13) stable release version 2.31"))}, ErrUnknown},
		"stranger": {map[string]string{"sbin/ldconfig": string(program(elf.EM_X86_64, "ldconfig (GNU libc) stable release version 2.41"))}, ErrUnknown},
		"riscv":    {map[string]string{"sbin/ldconfig": string(program(elf.EM_RISCV, "ldconfig (Debian GLIBC 2.36-9) stable release version 2.36"))}, ErrUnknown},
		"loop":     {map[string]string{"sbin/ldconfig": string(known), "etc/ld.so.conf": "include ld.so.conf"}, ErrConfig},
		"large":    {map[string]string{"sbin/ldconfig": string(known), "etc/ld.so.conf": strings.Repeat("\n", configMax+1)}, ErrConfig},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			treetest.Write(t, filepath.Join(root, file), []byte(text))
		}
		if _, err := Build(treetest.Open(t, root)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestLibcTells takes the version from libc.so.6 where ldconfig was removed.
func TestLibcTells(t *testing.T) {
	root := t.TempDir()
	libc := program(elf.EM_AARCH64, "GNU C Library (Ubuntu GLIBC 2.39-0ubuntu8.4) stable release version 2.39.\nCopyright")
	treetest.Write(t, filepath.Join(root, "usr/lib/aarch64-linux-gnu/libc.so.6"), libc)
	r, err := Build(treetest.Open(t, root))
	if err != nil {
		t.Fatal(err)
	}
	want := "ldconfig (Ubuntu GLIBC 2.39-0ubuntu8.4) stable release version 2.39"
	if !bytes.HasSuffix(r.Cache, []byte(want)) {
		t.Errorf("the cache ends %q", r.Cache[max(0, len(r.Cache)-99):])
	}
}

func FuzzParseObject(f *testing.F) {
	for _, l := range []testLibrary{
		{machine: elf.EM_X86_64, soname: "liba.so.1", isa: 6},
		{machine: elf.EM_X86_64, needed: "libc.so.6"},
		{machine: elf.EM_386, class: elf.ELFCLASS32, soname: "liba.so.1", needed: "libm.so.6", isa: 1},
		{machine: elf.EM_AARCH64, soname: "liba.so.1"},
	} {
		f.Add(l.bytes(), 36, true)
		f.Add(l.bytes(), 41, false)
	}
	f.Fuzz(func(t *testing.T, b []byte, minor int, amd64 bool) {
		g := glibc{minor: minor, machine: elf.EM_AARCH64}
		if amd64 {
			g.machine = elf.EM_X86_64
		}
		o, err := parseObject(bytes.NewReader(b), int64(len(b)), g)
		if (o == nil) == (err == nil) || err != nil && !errors.Is(err, errObject) {
			t.Errorf("%v, %v", o, err)
		}
		if o != nil && (o.isaLevel > 31 || len(o.soname) > stringMax) {
			t.Errorf("%+v", o)
		}
		parseGlibc(b)
	})
}

func FuzzParseConfig(f *testing.F) {
	f.Add("include /etc/*.conf a\n/usr/lib # x\nhwcap 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, l := range parseConfig(text) {
			if (l.folder == "") != (l.include != nil) || strings.ContainsAny(l.folder, "#\n\x00") {
				t.Errorf("%q", l)
			}
			for _, p := range l.include {
				matches(p, "name")
			}
		}
	})
}
