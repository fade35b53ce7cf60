package modules

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/internal/test/treetest"
	"deltaup/mkimage/tree"
)

const version = "6.12.1-test"

// TestLikeDepmod makes packed modules plain and demands the very tree, indexes included, that
// depmod leaves of the plain ones.
func TestLikeDepmod(t *testing.T) {
	depmod := tool(t, "depmod")
	for _, usr := range []string{"", "usr/"} {
		plain, packed := t.TempDir(), t.TempDir()
		dir := usr + "lib/modules/" + version + "/"
		var order strings.Builder
		for i := range 60 {
			name := fmt.Sprintf("kernel/drivers/d%d/mod-%c%d.ko", i%7, 'a'+i%5, i)
			var exports, needs []string
			exports = append(exports, fmt.Sprintf("symbol_%d", i))
			for j := i * 2; j < 60 && j > i; j += 17 { // some need those that come later
				needs = append(needs, fmt.Sprintf("symbol_%d", j))
			}
			b := module(exports, needs, fmt.Sprintf("pci:v%08Xd*", i))
			treetest.Write(t, filepath.Join(plain, dir, name), b)
			treetest.Write(t, filepath.Join(packed, dir, name+[]string{".xz", ".zst", ""}[i%3]), pack(t, []int{0, 1, 3}[i%3], b))
			if i%4 != 0 {
				fmt.Fprintln(&order, name)
			}
		}
		for _, root := range []string{plain, packed} {
			treetest.Write(t, filepath.Join(root, dir, "modules.order"), []byte(order.String()))
			treetest.Write(t, filepath.Join(root, dir, "modules.builtin"), []byte("kernel/fs/ext4/ext4.ko\n"))
			if usr != "" {
				treetest.Link(t, filepath.Join(root, "lib"), "usr/lib")
			}
			run(t, depmod, "-b", root, version)
		}
		want := contents(t, treetest.Open(t, plain))
		got, err := Plain(t.Context(), treetest.Open(t, packed))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, contents(t, got), want)
		if !strings.Contains(want["/"+dir+"modules.dep"], ": kernel/") {
			t.Error("no module needs another: the test shows nothing")
		}
	}
}

// TestLinks makes modules plain that have several names.
func TestLinks(t *testing.T) {
	root := t.TempDir()
	dir := "usr/lib/modules/" + version + "/"
	at := func(name string) string { return filepath.Join(root, dir, name) }
	treetest.Write(t, at("kernel/b.ko.xz"), pack(t, 0, []byte("one")))
	treetest.Link(t, at("weak-updates/b.ko.xz"), "../kernel/b.ko.xz")
	treetest.Link(t, at("weak-updates/none.ko.xz"), "../kernel/none.ko.xz")
	treetest.Link(t, at("absolute.ko.xz"), "/"+dir+"kernel/b.ko.xz")
	treetest.Link(t, filepath.Join(root, "b-of-old"), dir+"kernel/b.ko.xz")
	kept := pack(t, 2, []byte("another"))
	treetest.Write(t, at("kernel/kept.ko.gz"), kept)
	hardLink(t, at("kernel/kept.ko.gz"), filepath.Join(root, "copy"))
	// packed, the first name is x.ko-.ko.xz, plain it is x.ko
	treetest.Write(t, at("kernel/x.ko.xz"), pack(t, 0, []byte("two names")))
	hardLink(t, at("kernel/x.ko.xz"), at("kernel/x.ko-.ko.xz"))
	treetest.Write(t, filepath.Join(root, "usr/share/elsewhere.ko.xz"), []byte("stays"))

	got, err := Plain(t.Context(), treetest.Open(t, root))
	if err != nil {
		t.Fatal(err)
	}
	have := contents(t, got)
	for path, is := range map[string]string{
		"/" + dir + "kernel/b.ko":             "file one",
		"/" + dir + "weak-updates/b.ko":       "link ../kernel/b.ko",
		"/" + dir + "weak-updates/none.ko.xz": "link ../kernel/none.ko.xz",
		"/" + dir + "absolute.ko":             "link /" + dir + "kernel/b.ko",
		"/b-of-old":                           "link " + dir + "kernel/b.ko",
		"/" + dir + "kernel/x.ko":             "file two names",
		"/" + dir + "kernel/x.ko-.ko":         "hard link to " + dir + "kernel/x.ko",
		"/copy":                               "file " + string(kept),
		"/" + dir + "kernel/kept.ko.gz":       "hard link to copy",
		"/usr/share/elsewhere.ko.xz":          "file stays",
		"/" + dir + "kernel/b.ko.xz":          "",
		"/" + dir + "weak-updates/b.ko.xz":    "",
	} {
		if have[path] != is {
			t.Errorf("%s is %q, want %q", path, have[path], is)
		}
	}
	if w := got.Warnings(); len(w) != 1 || !strings.Contains(w[0], "kept.ko.gz stays compressed") {
		t.Errorf("warnings %q", w)
	}
}

// TestRefused names the file of a tree whose modules cannot be plain.
func TestRefused(t *testing.T) {
	dir := "lib/modules/" + version + "/"
	for name, files := range map[string]map[string]string{
		"kernel/cut.ko.zst":   {"kernel/cut.ko.zst": string(pack(t, 1, make([]byte, 1000))[:12])},
		"kernel/text.ko.xz":   {"kernel/text.ko.xz": "text"},
		"kernel/empty.ko.gz":  {"kernel/empty.ko.gz": ""},
		"kernel/twice.ko":     {"kernel/twice.ko": "a", "kernel/twice.ko.gz": string(pack(t, 2, nil))},
		"modules.dep: line 2": {"kernel/a.ko.gz": string(pack(t, 2, nil)), "modules.dep": "a.ko:\nb"},
	} {
		root := t.TempDir()
		for file, b := range files {
			treetest.Write(t, filepath.Join(root, dir, file), []byte(b))
		}
		_, err := Plain(t.Context(), treetest.Open(t, root))
		if !errors.Is(err, ErrModule) || !strings.Contains(err.Error(), "/"+dir+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestIndexTooLong refuses an index that its format cannot hold.
func TestIndexTooLong(t *testing.T) {
	tree := newTrie()
	tree.insert("module", 0, "module.ko:")
	b, err := tree.encode(indexMax)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.encode(len(b)); err != nil {
		t.Errorf("of %d bytes: %v", len(b), err)
	}
	if _, err := tree.encode(len(b) - 1); err == nil {
		t.Errorf("%d bytes were too few for %d, and that is no error", len(b)-1, len(b))
	}
}

// FuzzIndex makes the index of any modules.dep and finds every line in it again.
func FuzzIndex(f *testing.F) {
	f.Add([]byte("kernel/a.ko: kernel/b.ko\nkernel/b.ko:\nkernel/ab-c.ko:\n"))
	f.Add([]byte("a.ko:\nextra/a.ko:\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseDep(b)
		if err != nil {
			return
		}
		again, err := parseDep(d.text())
		if err != nil || !bytes.Equal(again.text(), d.text()) {
			t.Fatalf("the text %q reads as another: %v", d.text(), err)
		}
		index, err := d.index()
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		walk(t, index, binary.BigEndian.Uint32(index[8:]), func(line string) { lines = append(lines, line) })
		slices.Sort(lines)
		var want []string
		for _, l := range d {
			want = append(want, l.String())
		}
		slices.Sort(want)
		if !slices.Equal(lines, want) {
			t.Fatalf("the index has %q, want %q", lines, want)
		}
	})
}

// walk calls visit for all values of an index below the node at offset.
func walk(t *testing.T, b []byte, offset uint32, visit func(string)) {
	text := func(at *uint32) string {
		n := uint32(bytes.IndexByte(b[*at:], 0))
		*at += n + 1
		return string(b[*at-n-1 : *at-1])
	}
	at := offset &^ (nodePrefix | nodeValues | nodeChildren)
	if offset&nodePrefix != 0 {
		text(&at)
	}
	if offset&nodeChildren != 0 {
		first, last := b[at], b[at+1]
		at += 2
		for range int(last) - int(first) + 1 {
			if child := binary.BigEndian.Uint32(b[at:]); child != 0 {
				walk(t, b, child, visit)
			}
			at += 4
		}
	}
	if offset&nodeValues != 0 {
		n := binary.BigEndian.Uint32(b[at:])
		at += 4
		for range n {
			at += 4
			visit(text(&at))
		}
	}
}

// contents describes all files of a tree below their folders, and checks the tree.
func contents(t *testing.T, tr tree.Tree) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries := tr.Entries()
	for i, e := range entries {
		if i > 0 && tree.Compare(entries[i-1].Path, e.Path) >= 0 {
			t.Errorf("%s comes before %s", entries[i-1].Path, e.Path)
		}
		switch {
		case e.Link != "":
			all["/"+e.Path] = "hard link to " + e.Link
		case e.Type == tree.Symlink:
			all["/"+e.Path] = "link " + e.Target
		case e.Type == tree.Regular:
			r, err := tr.Open(i)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err = errors.Join(err, r.Close()); err != nil || int64(len(b)) != e.Size {
				t.Fatalf("%s gives %d of %d bytes: %v", e.Path, len(b), e.Size, err)
			}
			all["/"+e.Path] = "file " + string(b)
		}
	}
	return all
}

func compare(t *testing.T, got, want map[string]string) {
	t.Helper()
	for path, w := range want {
		if got[path] != w {
			t.Errorf("%s is %.200q, want %.200q", path, got[path], w)
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			t.Errorf("%s is too many", path)
		}
	}
}

func hardLink(t *testing.T, name, other string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(other), 0o755), os.Link(name, other)); err != nil {
		t.Fatal(err)
	}
}

// pack compresses a module by xz (0), zstd (1), gzip (2) or not at all (3).
func pack(t *testing.T, codec int, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	switch codec {
	case 0:
		cmd := exec.Command(tool(t, "xz"), "--check=crc32", "--lzma2=dict=1MiB")
		cmd.Stdin, cmd.Stdout = bytes.NewReader(plain), &b
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	case 1:
		z, _ := zstd.NewWriter(&b)
		z.Write(plain)
		z.Close()
	case 2:
		z := gzip.NewWriter(&b)
		z.Write(plain)
		z.Close()
	default:
		return plain
	}
	return b.Bytes()
}

// tool finds a foreign program. Without it the test is skipped, or fails when all tests must run.
func tool(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p
		}
	}
	if os.Getenv("DELTAUP_TEST_ALL") != "" {
		t.Fatalf("there is no %s", name)
	}
	t.Skipf("there is no %s", name)
	return ""
}

// run gives what a tool prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, args, err, out)
	}
	return string(out)
}

// module makes an object file with what depmod reads of a module: the symbols that it exports and
// needs, and an alias.
func module(exports, needs []string, alias string) []byte {
	return testModule{exports: exports, needs: needs, info: []string{"license=GPL", "alias=" + alias, "depends="}}.bytes()
}

// testModule is what depmod reads of a module.
type testModule struct {
	exports  []string // symbols in __ksymtab_strings
	crcs     []string // exported symbols that the symbol table has
	needs    []string // undefined symbols
	versions []string // symbols in __versions
	info     []string // KEY=VALUE
}

func (m testModule) bytes() []byte {
	names := []byte{0}
	symbols := make([]elf.Sym64, 1)
	symbol := func(name string, section uint16) {
		symbols = append(symbols, elf.Sym64{Name: uint32(len(names)), Info: byte(elf.STB_GLOBAL) << 4, Shndx: section})
		names = append(append(names, name...), 0)
	}
	symbol("init_module", 1)
	for _, s := range m.needs {
		symbol(s, 0)
	}
	for _, s := range m.crcs {
		symbol("__crc_"+s, uint16(elf.SHN_ABS))
	}
	var versions []byte
	for _, s := range m.versions {
		versions = append(versions, make([]byte, 64)...)
		copy(versions[len(versions)-56:], s)
	}
	sections := []struct {
		name string
		kind elf.SectionType
		b    []byte
		link uint32
	}{
		{"", elf.SHT_NULL, nil, 0},
		{".modinfo", elf.SHT_PROGBITS, []byte(strings.Join(m.info, "\x00") + "\x00"), 0},
		{"__ksymtab_strings", elf.SHT_PROGBITS, []byte(strings.Join(m.exports, "\x00") + "\x00"), 0},
		{".symtab", elf.SHT_SYMTAB, encode(symbols), 4},
		{".strtab", elf.SHT_STRTAB, names, 0},
		{".shstrtab", elf.SHT_STRTAB, nil, 0},
		{"__versions", elf.SHT_PROGBITS, versions, 0},
	}
	var strtab []byte
	headers := make([]elf.Section64, len(sections))
	for i, s := range sections {
		headers[i] = elf.Section64{Name: uint32(len(strtab)), Type: uint32(s.kind), Link: s.link, Addralign: 1}
		strtab = append(append(strtab, s.name...), 0)
	}
	sections[5].b = strtab
	const header = 64
	var body []byte
	for i, s := range sections {
		headers[i].Off, headers[i].Size = uint64(header+len(body)), uint64(len(s.b))
		body = append(body, s.b...)
	}
	headers[0].Off = 0
	headers[3].Entsize, headers[3].Info = 24, 1
	body = append(body, make([]byte, -len(body)&7)...)
	h := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Shoff: uint64(header + len(body)), Ehsize: header, Shentsize: 64,
		Shnum: uint16(len(sections)), Shstrndx: 5,
	}
	return slices.Concat(encode(h), body, encode(headers))
}

func encode(v any) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
		panic(err)
	}
	return b.Bytes()
}
