package boottest

import (
	"bytes"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"deltaup/internal/test/grubtest"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grub"
	"deltaup/slotboot/grubenv"
)

const (
	envPath = "/deltaup/grubenv"

	// stubBoot is far longer than the 0.3 s that GRUB and the stub take.
	stubBoot = time.Minute

	nothingLoads = "restarting in 10 s" // GRUB's last words
)

var slots = counted.Slots{"a", "b", "c"}

// scene is one state of a machine on which GRUB starts.
type scene struct {
	name     string
	env      []byte            // nil: no file
	damage   map[string]string // what is wrong with a slot, by slot: see damageFile
	readOnly bool
	fs       string // ext4 when empty
	lacks    []string
}

// TestTable holds real GRUB to grubtest.Choose, on every scene.
func TestTable(t *testing.T) {
	scenes := slices.Concat(products(), damagedBlocks(), damagedSlots(), missingModules())
	var agreed atomic.Int64
	t.Run("scenes", func(t *testing.T) {
		seen := map[string]bool{}
		for _, s := range scenes {
			if seen[s.name] {
				t.Fatalf("two scenes %q", s.name)
			}
			seen[s.name] = true
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				if s.play(t) {
					agreed.Add(1)
				}
			})
		}
	})
	t.Logf("GRUB and the model agree on %d of %d states", agreed.Load(), len(scenes))
}

// play boots the scene and tells whether GRUB does what the model says.
func (s *scene) play(t *testing.T) bool {
	l := layout{fs: s.fs, boot: 4 * mib, files: map[string][]byte{}, lacks: s.lacks}
	if l.fs == "" {
		l.fs = "ext4"
	}
	m := grubtest.Start{Slots: slots, Env: s.env, ReadOnly: s.readOnly, Loads: map[string]bool{}}
	if s.env != nil {
		l.files[envPath] = s.env
	}
	cfg := stubConfig(&l, s.damage)
	for _, name := range slots {
		m.Loads[name] = s.damage[name] == ""
	}
	whole, err := cfg.Whole()
	if err != nil {
		t.Fatal(err)
	}
	l.files["/grub/grub.cfg"] = whole
	d := newDisk(t, l)
	want := s.expect(m)

	vm := qemu{disk: d, timeout: stubBoot, readOnly: s.readOnly}
	if want.Slot == "" {
		vm.until = nothingLoads
	}
	console, stub := vm.boot(t)
	said, rest, _ := strings.Cut(stub, "\n")
	var args []string
	for _, arg := range kernelArgs(said) {
		if strings.HasPrefix(arg, "deltaup.") {
			args = append(args, arg)
		}
	}
	var wantArgs []string
	initrd := ""
	if want.Slot != "" {
		wantArgs, initrd = want.Args(), "initrd of "+want.Slot+"\n"
	}
	if !slices.Equal(args, wantArgs) || rest != initrd {
		t.Errorf("GRUB started %q with %q; the model says %q\n%s", said, rest, wantArgs, console)
	}
	if env := d.read(t, envPath); !bytes.Equal(env, want.Env) {
		t.Errorf("GRUB left %q; the model says %q", env, want.Env)
	}
	return !t.Failed()
}

// stubConfig describes a machine with stub kernels, which it puts into l.
func stubConfig(l *layout, damage map[string]string) *grub.Script {
	c := &grub.Script{UUID: l.uuid(), Env: envPath, Preamble: []string{"serial", "terminal_output serial"}}
	for _, name := range slots {
		slot := grub.Entry{Slot: name, Kernel: "/deltaup/" + name + "/vmlinuz", Initrd: "/deltaup/" + name + "/initrd.img"}
		c.Entries = append(c.Entries, slot)
		l.files[slot.Kernel] = stubKernel()
		l.files[slot.Initrd] = []byte("initrd of " + name)
		damageFile(l.files, slot, damage[name])
	}
	return c
}

// expect is the model's choice, corrected for a missing module, of which the model knows nothing.
func (s *scene) expect(m grubtest.Start) grubtest.Choice {
	whole := m.Env
	for _, module := range s.lacks {
		switch module {
		case "loadenv": // the script knows nothing and can count nothing
			m.Env = nil
		case "linux": // the script takes it for true, and then has no kernel to start
			return grubtest.Choice{Env: grubtest.Choose(m).Env}
		case "test": // the script can only tell the active slot
			if block, ok := grubenv.LoadEnv(m.Env); ok {
				active, _ := block.Get("deltaup_active")
				return grubtest.Choice{Slot: active, Env: whole}
			}
		}
	}
	c := grubtest.Choose(m)
	if m.Env == nil {
		c.Env = whole
	}
	return c
}

// damageFile damages the files of one slot.
func damageFile(files map[string][]byte, slot grub.Entry, how string) {
	switch how {
	case "":
	case "no kernel":
		delete(files, slot.Kernel)
	case "no initrd":
		delete(files, slot.Initrd)
	case "empty kernel":
		files[slot.Kernel] = nil
	case "torn kernel":
		files[slot.Kernel] = files[slot.Kernel][:sector]
	case "zero kernel":
		files[slot.Kernel] = make([]byte, len(files[slot.Kernel]))
	case "nothing":
		delete(files, slot.Kernel)
		delete(files, slot.Initrd)
	default:
		panic("unknown damage " + how)
	}
}

// kernelArgs splits a command line that GRUB has quoted.
func kernelArgs(line string) []string {
	var args []string
	var arg []byte
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line):
			i++
			arg = append(arg, line[i])
		case c == '"':
			quoted = !quoted
		case c == ' ' && !quoted:
			args, arg = append(args, string(arg)), nil
		default:
			arg = append(arg, c)
		}
	}
	return append(args, string(arg))
}
