package uki

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"deltaup/internal/test/kerneltest"
)

// sample has sections that lie in another order than that in which they are listed.
func sample() []byte {
	b := kerneltest.UKI(1, kerneltest.Section{Name: Kernel, Data: []byte("the kernel")},
		kerneltest.Section{Name: microcode, Data: make([]byte, 512)},
		kerneltest.Section{Name: ".cmdline", Data: []byte("quiet")},
		kerneltest.Section{Name: initrd, Data: []byte("the initrd")})
	table := b[0x80+24+240:]
	first := bytes.Clone(table[2*40:][:40])
	copy(table[2*40:], table[5*40:][:40])
	copy(table[5*40:], first)
	return b
}

func TestSplit(t *testing.T) {
	b := sample()
	list, err := Split(bytes.NewReader(b), int64(len(b)))
	if err != nil || len(list) != 7 {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, want := range []string{"", Kernel, "", microcode, "", initrd, ""} {
		if list[i].Section != want {
			t.Errorf("part %d is %+v, want %s", i, list[i], want)
		}
	}
	if got := cut(t, b, list, Kernel) + cut(t, b, list, initrd); got != "the kernelthe initrd" {
		t.Errorf("the sections have %q", got)
	}
}

// cut gives a section. The parts make up the file.
func cut(t *testing.T, file []byte, list []Part, name string) (section string) {
	t.Helper()
	for _, p := range list {
		if p.Section == name {
			section = string(file[:p.Size])
		}
		file = file[p.Size:]
	}
	if len(file) > 0 {
		t.Errorf("%d bytes are in no part", len(file))
	}
	return section
}

func TestSplitForeign(t *testing.T) {
	const table = 0x80 + 24 + 240
	put := func(at int, v uint32) func(b []byte) []byte {
		return func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[at:], v)
			return b
		}
	}
	for name, change := range map[string]func(b []byte) []byte{
		"empty":                func(b []byte) []byte { return nil },
		"another magic":        func(b []byte) []byte { return append([]byte("ZM"), b[2:]...) },
		"cut in the table":     func(b []byte) []byte { return b[:table+50] },
		"headers too far":      put(0x3c, 1<<31),
		"no signature":         put(0x80, 0),
		"many sections":        put(0x86, 97),
		"large optional part":  put(0x80+20, 0xffff),
		"no kernel":            put(table+5*40, 0),
		"cut in a section":     func(b []byte) []byte { return b[:len(b)-600] },
		"a section behind all": put(table+5*40+20, 1<<31),
		"an overlap":           put(table+5*40+20, binary.LittleEndian.Uint32(sample()[table+3*40+20:])),
	} {
		b := change(sample())
		if list, err := Split(bytes.NewReader(b), int64(len(b))); list != nil || err != nil {
			t.Errorf("%s: %+v, error %v", name, list, err)
		}
	}
	fail := errors.New("fail")
	if _, err := Split(failing{fail}, 1<<20); !errors.Is(err, fail) {
		t.Errorf("a file that can't be read: %v", err)
	}
}

type failing struct{ error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.error }

// TestObjcopy looks into a file that objcopy made.
func TestObjcopy(t *testing.T) {
	objcopy, err := exec.LookPath("objcopy")
	if err != nil || exec.Command(objcopy, "--info").Run() != nil {
		t.Skip("needs objcopy")
	}
	dir := t.TempDir()
	in := filepath.Join(dir, "stub.efi")
	parts := map[string][]byte{Kernel: bytes.Repeat([]byte("kernel"), 700), initrd: []byte("initrd")}
	args := []string{}
	for name, b := range parts {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		at := map[string]string{Kernel: "0x2000000", initrd: "0x3000000"}[name]
		args = append(args, "--add-section", name+"="+path, "--change-section-vma", name+"="+at)
	}
	stub := "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
	if _, err := os.Stat(stub); err != nil {
		t.Skip("needs systemd-boot-efi")
	}
	if out, err := exec.Command(objcopy, append(args, stub, in)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(in)
	if err != nil {
		t.Fatal(err)
	}
	list, err := Split(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("%+v, %v", list, err)
	}
	for name, want := range parts {
		if cut(t, b, list, name) != string(want) {
			t.Errorf("%s is another one", name)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(sample())
	f.Add([]byte("MZ"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := Split(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatalf("error %v", err)
		}
		end := int64(0)
		for _, p := range list {
			if end += p.Size; p.Size <= 0 {
				t.Fatalf("%+v of %d bytes", list, len(b))
			}
		}
		if list != nil && end != int64(len(b)) {
			t.Errorf("parts of %d bytes", end)
		}
		if list != nil && !slices.ContainsFunc(list, func(p Part) bool { return p.Section == Kernel }) {
			t.Error("no kernel")
		}
	})
}
