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

// config is a machine with the slots of names.
func config(names ...string) *Config {
	c := &Config{
		UUID: "0fc63daf-8483-4772-8e79-3d69d8477de4", Env: "/deltaup/grubenv",
		Args: []string{"root=/dev/ram0", "console=ttyS0,115200n8"}, Panic: 10 * time.Second,
		Preamble: []string{"serial --unit=0", "terminal_output serial"},
	}
	for _, name := range names {
		c.Slots = append(c.Slots, Slot{Name: name, Kernel: "/deltaup/" + name + "/vmlinuz", Initrd: "/deltaup/" + name + "/initrd.img"})
	}
	c.Slots[0].Args = []string{"deltaup.toram"}
	return c
}

// TestGolden shows what is written; GRUB's own parser reads it.
func TestGolden(t *testing.T) {
	for name, write := range map[string]func() ([]byte, error){
		"part.cfg":   config("a", "b").Part,
		"whole.cfg":  config("a", "b", "old").Whole,
		"42_deltaup": config("a", "b").Generator,
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
	c := config("a", "b", "c", "d", "e", "f", "g", "h")
	part, err := c.Part()
	if err != nil {
		t.Fatal(err)
	}
	check("part", part)
	whole, err := c.Whole()
	if err != nil {
		t.Fatal(err)
	}
	check("whole", whole)
	generator, err := c.Generator()
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
	for name, spoil := range map[string]func(*Config){
		"one slot":      func(c *Config) { c.Slots = c.Slots[:1] },
		"a slot twice":  func(c *Config) { c.Slots[1].Name = c.Slots[0].Name },
		"a slot's name": func(c *Config) { c.Slots[1].Name = "b;reboot" },
		"kernel":        func(c *Config) { c.Slots[1].Kernel = "/a b" },
		"initrd":        func(c *Config) { c.Slots[1].Initrd = "relative" },
		"no initrd":     func(c *Config) { c.Slots[1].Initrd = "" },
		"environment":   func(c *Config) { c.Env = "/x;y" },
		"UUID":          func(c *Config) { c.UUID = "label" },
		"argument":      func(c *Config) { c.Args = []string{"$root"} },
		"two arguments": func(c *Config) { c.Slots[0].Args = []string{"a b"} },
		"quote":         func(c *Config) { c.Args = []string{"a'"} },
		"panic":         func(c *Config) { c.Panic = time.Millisecond },
	} {
		c := config("a", "b")
		spoil(c)
		if _, err := c.Whole(); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
