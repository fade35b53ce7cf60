package modules

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/internal/test/treetest"
)

// populate makes a tree of modules with a bit of everything, and gives the names of what depmod
// makes of it.
func populate(t *testing.T, root string) {
	t.Helper()
	dir := filepath.Join(root, "usr/lib/modules", version)
	treetest.Link(t, filepath.Join(root, "lib"), "usr/lib")
	var order strings.Builder
	for i := range 90 {
		m := testModule{
			exports: []string{fmt.Sprintf("symbol_%d", i), fmt.Sprintf("also_%d", i*i)},
			info: []string{
				"", "license=GPL", fmt.Sprintf("alias=pci:v%08Xd*", i%40), fmt.Sprintf("alias=of:N*T*Cvendor,part-%d[a-z]", i),
				"alias=wrong[bracket", "alias=wrong]bracket", "novalue", "depends=none",
			},
		}
		for j := i * 2; j < 90 && j > i; j += 17 { // some need those that come later
			m.needs = append(m.needs, fmt.Sprintf("symbol_%d", j), "printk", fmt.Sprintf(".also_%d", j*j))
			m.versions = append(m.versions, fmt.Sprintf("symbol_%d", j), "module_layout")
		}
		if i < 60 {
			m.versions = append(m.versions, "symbol_77")
		}
		switch i % 9 {
		case 1:
			m.crcs = []string{fmt.Sprintf("symbol_%d", i), "only_with_crc"}
		case 2:
			m.info = append(m.info, "softdep=pre: crc32c post: "+fmt.Sprint(i), "weakdep=other")
		case 3:
			m.info = append(m.info, "alias=devname:net/tun", fmt.Sprintf("alias=char-major-10-%d", i))
		case 4:
			m.info = append(m.info, fmt.Sprintf("alias=block-major-%03d-*", i), "alias=devname:lost")
		case 5:
			m.info = append(m.info, "alias=block-major-7-08", "alias=devname:loop")
		}
		name := fmt.Sprintf("kernel/drivers/d%d/mod-%c%d.ko", i%7, 'a'+i%5, i)
		treetest.Write(t, filepath.Join(dir, name+[]string{".xz", ".zst", ".gz", ""}[i%4]), pack(t, i%4, m.bytes()))
		if i%6 != 0 {
			fmt.Fprintln(&order, name)
		}
		if i%11 == 0 {
			fmt.Fprintf(&order, "kernel/absent-%d.ko\n", i)
		}
	}
	fmt.Fprintln(&order, "kernel/drivers/d1/mod-b1.ko") // again
	// the same name twice: updates count
	treetest.Write(t, filepath.Join(dir, "updates/dkms/mod-c2.ko"), testModule{exports: []string{"symbol_2"}, info: []string{"alias=updated"}}.bytes())
	treetest.Write(t, filepath.Join(dir, "extra/mod-d3.ko"), testModule{exports: []string{"symbol_3"}, info: []string{"alias=extra"}}.bytes())
	treetest.Write(t, filepath.Join(dir, "extra/mod_e4.ko"), testModule{exports: []string{"symbol_4"}, info: []string{"alias=overridden"}}.bytes())
	treetest.Write(t, filepath.Join(dir, "left/out.ko"), testModule{exports: []string{"left_out"}}.bytes())
	treetest.Write(t, filepath.Join(dir, "build/not.ko"), testModule{exports: []string{"not"}}.bytes())
	treetest.Write(t, filepath.Join(dir, "extra/broken.ko"), bytes.Repeat([]byte("no ELF "), 20))
	treetest.Write(t, filepath.Join(dir, "extra/dots.in.name.ko"), testModule{exports: []string{"dots"}}.bytes())
	treetest.Write(t, filepath.Join(dir, "extra/readme"), "")
	treetest.Link(t, filepath.Join(dir, "weak-updates/linked.ko"), "../extra/dots.in.name.ko")
	treetest.Link(t, filepath.Join(dir, "weak-updates/dangling.ko"), "../extra/gone.ko")
	treetest.Write(t, filepath.Join(root, "outside/far-away.ko"), testModule{exports: []string{"far"}, needs: []string{"symbol_5"}}.bytes())
	treetest.Write(t, filepath.Join(dir, "modules.order"), []byte(order.String()))
	treetest.Write(t, filepath.Join(dir, "modules.builtin"), []byte("kernel/fs/ext4/ext4.ko\nkernel/lib/crc-ccitt.ko\n0wrong.ko\n"))
	treetest.Write(t, filepath.Join(dir, "modules.builtin.modinfo"), []byte("ext4.license=GPL\x00ext4.alias=fs-ext4\x00"+
		"crc_ccitt.file=lib/crc-ccitt\x00vt.alias=char-major-4-*[0-9]\x00broken\x00ext4.alias=ext3\x00no.value\x00swallowed.alias=x\x00ext4.alias=last"))
	treetest.Write(t, filepath.Join(root, "usr/lib/depmod.d/10-hidden.conf"), []byte("search nothing\n"))
	treetest.Write(t, filepath.Join(root, "etc/depmod.d/10-hidden.conf"), []byte("# search nothing either\nsearch up\\\ndates\n"))
	treetest.Write(t, filepath.Join(root, "etc/depmod.d/20.conf"), []byte("search extra built-in\noverride mod_d3 9.* extra\n"+
		"override mod_e4 * extra\noverride mod_e4\nunknown words\nexclude left\n"))
	treetest.Write(t, filepath.Join(root, "etc/depmod.d/readme"), []byte("search extra\n"))
}

// TestDepmod demands all files that the machine's depmod makes of a tree.
func TestDepmod(t *testing.T) {
	depmod := tool(t, "depmod")
	root := t.TempDir()
	populate(t, root)
	program, err := os.ReadFile(tool(t, "kmod"))
	if err != nil {
		t.Fatal(err)
	}
	treetest.Write(t, filepath.Join(root, "usr/bin/kmod"), program)
	likeDepmod(t, root, depmod)
}

func likeDepmod(t *testing.T, root string, depmod ...string) {
	t.Helper()
	files, err := Depmod(t.Context(), treetest.Open(t, root), version)
	if err != nil {
		t.Fatal(err)
	}
	run(t, depmod[0], append(depmod[1:], "-b", root, "-C", root+"/etc/depmod.d", version)...)
	made, err := filepath.Glob(filepath.Join(root, "lib/modules", version, "modules.*"))
	if err != nil {
		t.Fatal(err)
	}
	if want := len(made) - len("order builtin modinfo")/7; len(files) != want {
		t.Errorf("%d files, depmod made %d", len(files), want)
	}
	for _, f := range files {
		want, err := os.ReadFile(filepath.Join(root, f.Path))
		if err != nil || !bytes.Equal(f.Content, want) {
			t.Errorf("%s has %.300q\nwant %.300q (%v)", f.Path, f.Content, want, err)
		}
	}
}

// TestDepmodGolden makes the files of several versions of kmod. The hashes are those of what
// Debian's versions 30 and 34.2 made of the same tree, and without a kmod what was made here.
func TestDepmodGolden(t *testing.T) {
	for _, g := range []struct {
		kmod string // "": none in the tree
		want string
	}{
		{"kmod version 30\n\x00+ZSTD +XZ -ZLIB", "b3933aeb60b7184063e9b10df92561004e0f059d18bb0583fa95d9036e37c3ab"},
		{"kmod version 34.2\n+ZSTD +XZ -ZLIB +OPENSSL", "6506a73f11c04fb51d3e04d889665a6447bf521b28109c6b3d41b9ed5f518409"},
		{"", "e7e27b695a0da52508c2c6bdf5215c733132605c0e719937457f91c440c743d7"},
	} {
		root := t.TempDir()
		populate(t, root)
		if g.kmod != "" {
			treetest.Write(t, filepath.Join(root, "usr/bin/kmod"), []byte("\x7fELF\x00"+g.kmod+"\x00"))
		}
		if real := strings.Fields(os.Getenv("DELTAUP_DEPMOD")); len(real) > 0 { // of the version
			if strings.Contains(g.kmod, os.Getenv("DELTAUP_DEPMOD_VERSION")) {
				likeDepmod(t, root, real...)
			}
			continue
		}
		files, err := Depmod(t.Context(), treetest.Open(t, root), version)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		for _, f := range files {
			fmt.Fprintf(sum, "%s %d\n%s", f.Path, len(f.Content), f.Content)
		}
		if got := fmt.Sprintf("%x", sum.Sum(nil)); got != g.want {
			t.Errorf("%q: %s, want %s", g.kmod, got, g.want)
		}
	}
}

// TestDepmodExternal lists modules outside of the kernel's folder, which count before those inside
// when depmod.d says so.
func TestDepmodExternal(t *testing.T) {
	root := t.TempDir()
	populate(t, root)
	treetest.Write(t, filepath.Join(root, "outside/mod-a0.ko"), testModule{needs: []string{"far"}}.bytes())
	treetest.Write(t, filepath.Join(root, "etc/depmod.d/05.conf"), []byte("external ^6\\.12 /outside\nexternal 9 /usr\nsearch external\n"))
	files, err := Depmod(t.Context(), treetest.Open(t, root), version)
	if err != nil {
		t.Fatal(err)
	}
	dep := string(files[0].Content)
	for _, line := range []string{
		"/outside/mod-a0.ko: /outside/far-away.ko kernel/drivers/d5/mod-a5.ko.zst",
		"/outside/far-away.ko: kernel/drivers/d5/mod-a5.ko.zst",
	} {
		if !strings.Contains(dep, "\n"+line) {
			t.Errorf("modules.dep has not %q", line)
		}
	}
	if strings.Contains(dep, "kernel/drivers/d0/mod-a0.ko") {
		t.Error("the module inside is listed, too")
	}
}

// TestDepmodRefused demands an error for what depmod refuses, and for hostile trees.
func TestDepmodRefused(t *testing.T) {
	dir := "lib/modules/" + version + "/"
	for name, populate := range map[string]func(root string){
		"no folder": func(root string) { treetest.Write(t, filepath.Join(root, "lib/modules/6.0/a.ko"), "") },
		"circle": func(root string) {
			treetest.Write(t, filepath.Join(root, dir, "a.ko"), module([]string{"a"}, []string{"b"}, "a"))
			treetest.Write(t, filepath.Join(root, dir, "b.ko"), module([]string{"b"}, []string{"a"}, "b"))
		},
		"folders": func(root string) {
			treetest.Write(t, filepath.Join(root, dir, "a.ko"), "")
			treetest.Link(t, filepath.Join(root, dir, "again"), ".")
			treetest.Link(t, filepath.Join(root, dir, "and-again"), ".")
		},
		"cut": func(root string) {
			treetest.Write(t, filepath.Join(root, dir, "a.ko.zst"), pack(t, 1, make([]byte, 99))[:12])
		},
		"not ASCII": func(root string) { treetest.Write(t, filepath.Join(root, dir, "a.ko"), module(nil, nil, "é")) },
	} {
		root := t.TempDir()
		populate(root)
		if _, err := Depmod(t.Context(), treetest.Open(t, root), version); !errors.Is(err, ErrModule) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", ".", "..", "../modules/" + version} {
		root := t.TempDir()
		treetest.Write(t, filepath.Join(root, dir, "a.ko"), "")
		if _, err := Depmod(t.Context(), treetest.Open(t, root), bad); !errors.Is(err, ErrModule) {
			t.Errorf("version %q: %v", bad, err)
		}
	}
}

// TestVersions finds the kernels of a tree.
func TestVersions(t *testing.T) {
	root := t.TempDir()
	populate(t, root)
	treetest.Write(t, filepath.Join(root, "usr/lib/modules/6.1/a.ko"), "")
	treetest.Write(t, filepath.Join(root, "usr/lib/modules/readme"), "")
	if got := Versions(treetest.Open(t, root)); !slices.Equal(got, []string{"6.1", version}) {
		t.Errorf("versions %q", got)
	}
}

func FuzzParseModule(f *testing.F) {
	f.Add(testModule{
		exports: []string{"a"}, crcs: []string{"b"}, needs: []string{"c"}, versions: []string{"d"},
		info: []string{"alias=x", "softdep=y", "weakdep=z"},
	}.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		info := parseModule(b)
		for _, all := range [][]string{info.exports, info.needs, info.aliases} {
			for _, s := range all {
				if strings.Contains(s, "\x00") || len(s) > len(b) {
					t.Errorf("%q", s)
				}
			}
		}
	})
}

// FuzzDepmodTexts reads the text files by which depmod goes.
func FuzzDepmodTexts(f *testing.F) {
	f.Add("kmod version 30\n+XZ -ZLIB", "")
	f.Add("kernel/a.ko\na.alias=b\x00c.d=e\x00", "search updates\noverride a * b\nexternal . /c\nexclude d\n")
	f.Fuzz(func(t *testing.T, text, conf string) {
		for _, parse := range []func(string, addValue) error{parseBuiltin, parseBuiltinAliases} {
			index := newTrie()
			if err := parse(text, func(key string, priority int, value string) {
				index.insert(key, uint32(priority), value)
			}); err != nil {
				continue
			}
			up, err := index.encode(indexMax)
			down, err2 := index.encodeDown(indexMax)
			if err != nil || err2 != nil || len(up) != len(down) {
				t.Errorf("%d bytes, %d bytes: %v, %v", len(up), len(down), err, err2)
			}
		}
		if k, ok := parseKmod([]byte(text)); ok && k.version < 0 {
			t.Errorf("%+v", k)
		}
		var c depmodConfig
		c.parse(conf, version)
		a := &kernelModule{name: "a", path: "/lib/modules/6/updates/a.ko"}
		b := &kernelModule{name: "a", path: "/lib/modules/6/kernel/a.ko"}
		if c.prefers("/lib/modules/6", a, b) && c.prefers("/lib/modules/6", b, a) {
			t.Errorf("both count before the other: %+v", c)
		}
	})
}
