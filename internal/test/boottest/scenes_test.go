package boottest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"deltaup/slotboot/grubenv"
)

// block is an environment block of Size bytes with lines behind its first.
func block(lines ...string) []byte {
	b := []byte("# GRUB Environment Block\n")
	for _, line := range lines {
		b = append(append(b, line...), '\n')
	}
	return append(b, bytes.Repeat([]byte{'#'}, grubenv.Size-len(b))...)
}

// products are all combinations of the values that each variable can have.
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
	for _, bad := range []string{"a", "b", "ab", "abc"} { // as the initramfs writes them
		for _, active := range []string{"a", "b"} {
			lines := []string{"deltaup_active=" + active}
			for _, name := range slots {
				lines = append(lines, fmt.Sprintf("deltaup_bad_%s=%d", name, strings.Count(bad, name)))
			}
			lines = append(lines, "deltaup_fault="+bad[:1]+":device:3", "deltaup_id=5ac07e11", "deltaup_trial=", "deltaup_tries=0")
			scenes = append(scenes, scene{name: "given up=" + bad + ",active=" + active, env: block(lines...)})
		}
	}
	return scenes
}

// damagedBlocks are files that are no environment block, or a damaged one.
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

// missingModules are GRUBs without one of the modules that the script names.
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
