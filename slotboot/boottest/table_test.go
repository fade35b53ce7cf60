package boottest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"deltaup/slotboot/counted"
	"deltaup/slotboot/grub"
	"deltaup/slotboot/grubenv"
)

const (
	envPath = "/deltaup/grubenv"

	// stubBoot is far above the 0.3 s that GRUB and the stub take.
	stubBoot = time.Minute

	nothingLoads = "restarting in 10 s" // GRUB's last words
)

var slots = counted.Slots{"a", "b", "c"}

// scene is one state of a machine that GRUB is started on.
type scene struct {
	name     string
	env      []byte            // nil: no file
	damage   map[string]string // what is wrong with a slot: see damageFile
	readOnly bool
	fs       string // ext4 when empty
	lacks    []string
}

// TestTable holds real GRUB to counted.Select, on every scene.
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

// play boots the scene and tells whether GRUB did what the model says.
func (s *scene) play(t *testing.T) bool {
	l := layout{fs: s.fs, boot: 4 * mib, files: map[string][]byte{}, lacks: s.lacks}
	if l.fs == "" {
		l.fs = "ext4"
	}
	m := counted.Machine{Slots: slots, Env: s.env, ReadOnly: s.readOnly, Loads: map[string]bool{}}
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

	vm := machine{disk: d, timeout: stubBoot, readOnly: s.readOnly}
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

// stubConfig describes a machine with stub kernels, which are put into l.
func stubConfig(l *layout, damage map[string]string) *grub.Config {
	c := &grub.Config{UUID: l.uuid(), Env: envPath, Preamble: []string{"serial", "terminal_output serial"}}
	for _, name := range slots {
		slot := grub.Slot{Name: name, Kernel: "/deltaup/" + name + "/vmlinuz", Initrd: "/deltaup/" + name + "/initrd.img"}
		c.Slots = append(c.Slots, slot)
		l.files[slot.Kernel] = stubKernel()
		l.files[slot.Initrd] = []byte("initrd of " + name)
		damageFile(l.files, slot, damage[name])
	}
	return c
}

// expect is the model's choice; the model has all modules.
func (s *scene) expect(m counted.Machine) counted.Choice {
	whole := m.Env
	for _, module := range s.lacks {
		switch module {
		case "loadenv": // nothing is known, and nothing can be counted
			m.Env = nil
		case "linux": // taken as true, and then there is no kernel to start
			return counted.Choice{Env: counted.Select(m).Env}
		case "test": // the active slot: that is all that can be told
			if block, ok := grubenv.LoadEnv(m.Env); ok {
				active, _ := block.Get("deltaup_active")
				return counted.Choice{Slot: active, Env: whole}
			}
		}
	}
	c := counted.Select(m)
	if m.Env == nil {
		c.Env = whole
	}
	return c
}

// damageFile spoils one slot's files.
func damageFile(files map[string][]byte, slot grub.Slot, how string) {
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

// kernelArgs splits a command line as GRUB has quoted it.
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

// block is a block of Size bytes with lines behind its first.
func block(lines ...string) []byte {
	b := []byte("# GRUB Environment Block\n")
	for _, line := range lines {
		b = append(append(b, line...), '\n')
	}
	return append(b, bytes.Repeat([]byte{'#'}, grubenv.Size-len(b))...)
}

// products are the values that each variable can have, combined.
func products() []scene {
	var scenes []scene
	for _, active := range []string{"a", "b", "", "zz"} {
		for _, trial := range []string{"", "a", "b", "c", "zz"} {
			for _, tries := range []string{"0", "1", "3", "9", "u", "k", "", "x", "10"} {
				scenes = append(scenes, scene{
					name: fmt.Sprintf("active=%s,trial=%s,tries=%s", active, trial, tries),
					env:  block("deltaup_active="+active, "deltaup_trial="+trial, "deltaup_tries="+tries),
				})
			}
		}
	}
	for _, bad := range []string{"a", "b", "c", "ab", "bc", "ac", "abc"} {
		for _, tries := range []string{"0", "2", "u"} {
			lines := []string{"deltaup_active=a", "deltaup_trial=b", "deltaup_tries=" + tries}
			for _, name := range slots {
				lines = append(lines, fmt.Sprintf("deltaup_bad_%s=%d", name, strings.Count(bad, name)))
			}
			scenes = append(scenes, scene{name: "bad=" + bad + ",tries=" + tries, env: block(lines...)})
		}
	}
	return scenes
}

// damagedBlocks are files that are no block of ours, or not any more.
func damagedBlocks() []scene {
	const active, trial, tries = "deltaup_active=b", "deltaup_trial=c", "deltaup_tries=2"
	good := block(active, trial, tries, "deltaup_id=5ac07e11")
	padding := func(n int) string { return "pad=" + strings.Repeat("p", n-len("pad=\n")) }
	room := grubenv.Size - len("# GRUB Environment Block\n") - len(active) - len(trial) - len(tries) - 3
	files := map[string][]byte{
		"no file":              nil,
		"empty file":           {},
		"zeros":                make([]byte, grubenv.Size),
		"first line torn":      append(make([]byte, 10), good[10:]...),
		"first line of others": bytes.Replace(good, []byte("Environment"), []byte("environment"), 1),
		"first sector lost":    append(make([]byte, sector), good[sector:]...),
		"second sector lost":   append(bytes.Clone(good[:sector]), make([]byte, sector)...),
		"half a file":          good[:sector],
		"ends in a value":      good[:50],
		"ends after a value":   good[:25+len(active)+1],
		"only the first line":  good[:25],
		"longer":               append(bytes.Clone(good), bytes.Repeat([]byte{'#'}, 3*grubenv.Size)...),
		"unpadded":             bytes.TrimRight(good, "#"),
		"full":                 block(active, trial, tries, padding(room)),
		"almost full":          block(active, trial, tries, padding(room-1)),
		"no last newline":      append(block(active, trial, tries, padding(room))[:grubenv.Size-1], 'p'),
		"garbage before":       block("garbage", active, trial, tries),
		"garbage after active": block(active, "garbage", trial, tries),
		"garbage after trial":  block(active, trial, "garbage", tries),
		"garbage after tries":  block(active, trial, tries, "garbage"),
		"tries lost":           block(active, trial),
		"trial lost":           block(active, tries),
		"active lost":          block(trial, tries),
		"others first":         block("saved_entry=Debian GNU/Linux", "next_entry=", active, trial, tries),
		"others last":          block(active, trial, tries, "saved_entry=0", "kernelopts=root=UUID=1 ro quiet"),
		"others in our words":  block("root=(hd9)", "prefix=(hd9)/x", "default=9", "timeout=-1", active, trial, tries, "deltaup_root=hd9", "deltaup_next=1", "deltaup_arg=init=/bin/sh"),
		"active twice":         block("deltaup_active=a", active, trial, tries),
		"tries twice":          block(active, trial, tries, "deltaup_tries=3"),
		"tries twice, longer":  block(active, trial, "deltaup_tries=22", tries),
		"tries twice, shorter": block(active, trial, "deltaup_tries=", tries),
		"trial twice":          block(active, trial, tries, "deltaup_trial=a"),
		"comments":             block("# x", active, "####", trial, "#", tries),
		"our layout":           append(append(block(active, trial, tries)[:sector-1], '\n'), bytes.Repeat([]byte{'#'}, sector)...),
		"escapes":              block(`x=\\`, "y=\\", active, trial, tries),
		"backslash at the end": append(block(active, trial, tries)[:grubenv.Size-1], '\\'),
		"NUL in a value":       block("deltaup_active=b\x00x", trial, tries),
		"NUL in a name":        block("deltaup_active\x00x=b", trial, tries),
		"carriage returns":     block(active+"\r", trial+"\r", tries+"\r"),
		"spaces":               block(active+" ", trial, tries),
		"spaces before":        block(" "+active, trial, tries),
		"upper case":           block("deltaup_active=B", trial, tries),
		"test's operators":     block("deltaup_active=!", "deltaup_trial=-n", "deltaup_tries=("),
		"quotes":               block(`deltaup_active=" = a`, `deltaup_trial='; reboot`, "deltaup_tries=$root"),
		"negative":             block(active, trial, "deltaup_tries=-1"),
		"octal":                block(active, trial, "deltaup_tries=02"),
		"plus":                 block(active, trial, "deltaup_tries=+2"),
		"id with words":        block(active, trial, tries, "deltaup_id=x init=/bin/sh"),
		"id with quotes":       block(active, trial, tries, `deltaup_id=x" init=/bin/sh "`),
		"high bytes":           block("deltaup_active=\xff\xfe", trial, tries, "deltaup_id=\x80"),
		"long value":           block(active, trial, tries, "x="+strings.Repeat("y", 700)),
		"bad of unknown":       block(active, trial, tries, "deltaup_bad_zz=1", "deltaup_bad_=1"),
		"bad is not 1":         block(active, trial, tries, "deltaup_bad_b=yes", "deltaup_bad_c=10"),
	}
	var scenes []scene
	for _, fs := range []string{"ext4", "vfat"} {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			scenes = append(scenes, scene{name: fs + "," + name, env: files[name], fs: fs})
		}
	}
	for _, tries := range []string{"0", "1", "u"} {
		env := block(active, trial, "deltaup_tries="+tries)
		scenes = append(scenes, scene{name: "unwritable,tries=" + tries, env: env, readOnly: true})
	}
	return scenes
}

// damagedSlots are machines on which GRUB cannot load every slot.
func damagedSlots() []scene {
	pending := block("deltaup_active=a", "deltaup_trial=b", "deltaup_tries=2")
	steady := block("deltaup_active=a", "deltaup_trial=", "deltaup_tries=0", "deltaup_bad_b=1")
	nobody := block()
	var scenes []scene
	for _, how := range []string{"no kernel", "no initrd", "empty kernel", "torn kernel", "zero kernel", "nothing"} {
		for _, fs := range []string{"ext4", "vfat"} {
			scenes = append(scenes,
				scene{name: fs + ",trial has " + how, env: pending, fs: fs, damage: map[string]string{"b": how}},
				scene{name: fs + ",active has " + how, env: steady, fs: fs, damage: map[string]string{"a": how}})
		}
	}
	for name, env := range map[string][]byte{"pending": pending, "steady": steady, "empty": nobody} {
		scenes = append(scenes,
			scene{name: name + ",a and b are gone", env: env, damage: map[string]string{"a": "nothing", "b": "nothing"}},
			scene{name: name + ",a and c are gone", env: env, damage: map[string]string{"a": "nothing", "c": "nothing"}},
			scene{name: name + ",all are gone", env: env, damage: map[string]string{"a": "nothing", "b": "nothing", "c": "nothing"}})
	}
	return scenes
}

// missingModules are GRUBs that lack a module that the script names.
func missingModules() []scene {
	var scenes []scene
	for _, lacks := range [][]string{{"test"}, {"loadenv"}, {"search", "search_fs_uuid"}, {"echo", "sleep", "reboot"}, {"linux"}, {"loadenv", "test"}} {
		for _, active := range []string{"a", "b"} {
			scenes = append(scenes, scene{
				name:  "without " + strings.Join(lacks, " and ") + ",active=" + active,
				env:   block("deltaup_active="+active, "deltaup_trial=c", "deltaup_tries=2"),
				lacks: lacks,
			})
		}
	}
	return scenes
}
