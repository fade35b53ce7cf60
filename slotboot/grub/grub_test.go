package grub

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew: go test ./slotboot/grub -update")

// newScript is the script of a machine with the slots of names.
func newScript(names ...string) *Script {
	s := &Script{
		UUID: "0fc63daf-8483-4772-8e79-3d69d8477de4", Env: "/deltaup/grubenv",
		Args: []string{"root=/dev/ram0", "console=ttyS0,115200n8"}, Panic: 10 * time.Second,
		Preamble: []string{"serial --unit=0", "terminal_output serial"},
	}
	for _, name := range names {
		s.Entries = append(s.Entries, Entry{Slot: name, Kernel: "/deltaup/" + name + "/vmlinuz", Initrd: "/deltaup/" + name + "/initrd.img"})
	}
	s.Entries[0].Args = []string{"deltaup.toram"}
	return s
}

// TestGolden shows what is written; GRUB's own parser reads it.
func TestGolden(t *testing.T) {
	for name, write := range map[string]func() ([]byte, error){
		"part.cfg":   newScript("a", "b").Part,
		"whole.cfg":  newScript("a", "b", "old").Whole,
		"42_deltaup": newScript("a", "b").generator,
	} {
		got, err := write()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s has changed; go test ./slotboot/grub -update writes it anew", file)
		}
	}
}

// TestScriptCheck has GRUB's parser read what the two writers, and the generator run by sh, make.
func TestScriptCheck(t *testing.T) {
	if _, err := exec.LookPath("grub-script-check"); err != nil {
		if os.Getenv("DELTAUP_TEST_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	check := func(name string, script []byte) {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, script, 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("grub-script-check", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	s := newScript("a", "b", "c", "d", "e", "f", "g", "h")
	part, err := s.Part()
	if err != nil {
		t.Fatal(err)
	}
	check("part", part)
	whole, err := s.Whole()
	if err != nil {
		t.Fatal(err)
	}
	check("whole", whole)
	generator, err := s.generator()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", string(generator))
	printed, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if string(printed) != string(part) {
		t.Error("the generator does not print the part")
	}
}

func TestValidate(t *testing.T) {
	for name, spoil := range map[string]func(*Script){
		"one slot":      func(s *Script) { s.Entries = s.Entries[:1] },
		"a slot twice":  func(s *Script) { s.Entries[1].Slot = s.Entries[0].Slot },
		"a slot's name": func(s *Script) { s.Entries[1].Slot = "b;reboot" },
		"kernel":        func(s *Script) { s.Entries[1].Kernel = "/a b" },
		"initrd":        func(s *Script) { s.Entries[1].Initrd = "relative" },
		"no initrd":     func(s *Script) { s.Entries[1].Initrd = "" },
		"environment":   func(s *Script) { s.Env = "/x;y" },
		"UUID":          func(s *Script) { s.UUID = "label" },
		"argument":      func(s *Script) { s.Args = []string{"$root"} },
		"two arguments": func(s *Script) { s.Entries[0].Args = []string{"a b"} },
		"quote":         func(s *Script) { s.Args = []string{"a'"} },
		"panic":         func(s *Script) { s.Panic = time.Millisecond },
	} {
		s := newScript("a", "b")
		spoil(s)
		if _, err := s.Whole(); !errors.Is(err, errScript) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
