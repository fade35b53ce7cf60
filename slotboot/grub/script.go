package grub

import (
	"fmt"
	"strings"

	"deltaup/slotboot/counted"
)

// Part is a script to be sourced: functions and menu entries. It sets neither the default nor the
// time-out, and boots nothing until its entry is chosen.
func (s *Script) Part() ([]byte, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	w := new(writer)
	w.text(head)
	for _, e := range s.Entries {
		s.start(w, e)
	}
	s.prepare(w)
	s.choose(w)
	s.boot(w)
	s.entries(w)
	return []byte(w.String()), nil
}

// Whole is a grub.cfg that boots the counted entry at once, without a menu.
func (s *Script) Whole() ([]byte, error) {
	part, err := s.Part()
	if err != nil {
		return nil, err
	}
	w := new(writer)
	for _, line := range s.Preamble {
		w.line("%s", line)
	}
	w.line("set default=%s\nset timeout=0\n\n%s", entryID, strings.TrimSuffix(string(part), "\n"))
	return []byte(w.String()), nil
}

// generator is a shell script for /etc/grub.d that prints Part.
func (s *Script) generator() ([]byte, error) {
	part, err := s.Part()
	if err != nil {
		return nil, err
	}
	const end = "END_OF_DELTAUP"
	return []byte("#!/bin/sh\ncat <<'" + end + "'\n" + string(part) + end + "\n"), nil
}

// writer collects lines of script.
type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// text writes script as it is, without the newline that it begins with.
func (w *writer) text(script string) { w.WriteString(script[1:]) }

const head = `
# Counted boot of deltaup's slots. Written by "deltaup boot setup": changes are lost.
#
# GRUB takes a command that it does not have as true. So a value is tested, never the success
# of a command, and a number is believed to be saved when it has been read back.
#
# GRUB 2.06 forgets the command line of a kernel that is loaded in place of another. So both
# files are looked for before one is loaded, and after that there is no way but to restart.

function deltaup_restart {
  echo "deltaup: restarting in 10 s"
  sleep 10
  reboot
}

`

// start writes the function that starts a slot's kernel, or returns when there is none.
func (s *Script) start(w *writer, e Entry) {
	w.line("function deltaup_start_%s {", e.Slot)
	w.line("  if [ -s ($deltaup_root)%s ]; then", e.Kernel)
	w.line("    if [ -s ($deltaup_root)%s ]; then", e.Initrd)
	w.line("      if linux ($deltaup_root)%s deltaup.slot=%s $deltaup_arg $deltaup_env %s; then",
		e.Kernel, e.Slot, s.args(e))
	w.line("        if initrd ($deltaup_root)%s; then boot; fi", e.Initrd)
	w.text(`
        deltaup_restart
      fi
    fi
  fi
}

`)
}

// prepare writes the function that finds BOOT.
func (s *Script) prepare(w *writer) {
	w.line("function deltaup_prepare {\n  set deltaup_root=$root")
	if s.UUID != "" {
		w.line("  search --no-floppy --fs-uuid --set=deltaup_root %s", s.UUID)
	}
	w.line("  set deltaup_arg=\n  set deltaup_env=\n}\n")
}

// choose writes the function that applies the rules of doc/boot.md, for a GRUB that can test.
func (s *Script) choose(w *writer) {
	w.text(`
function deltaup_choose {
  if [ "x$deltaup_id" != "x" ]; then set deltaup_env=deltaup.env=$deltaup_id; fi

  # The slot that was marked good last.
  set deltaup_first=
`)
	for _, e := range s.Entries {
		w.line(`  if [ "x$deltaup_active" = "x%s" ]; then set deltaup_first=%s; fi`, e.Slot, e.Slot)
	}
	w.text(`

  # The slot on trial, and what becomes of its number of tries: one less, u when they are
  # used up or the slot is bad, nothing when the trial has ended.
  set deltaup_try=
  set deltaup_next=
`)
	for n := 1; n <= counted.MaxTries; n++ {
		w.line(`  if [ "x$deltaup_tries" = "x%d" ]; then set deltaup_next=%d; fi`, n, n-1)
	}
	w.text(`
  if [ "x$deltaup_tries" = "x0" ]; then set deltaup_next=u; fi
  if [ "x$deltaup_tries" = "xu" ]; then set deltaup_next=ended; fi
  if [ "x$deltaup_tries" = "xk" ]; then set deltaup_next=ended; fi
  if [ "x$deltaup_next" != "x" ]; then
`)
	for _, e := range s.Entries {
		w.line(`    if [ "x$deltaup_trial" = "x%s" ]; then`, e.Slot)
		w.line(`      set deltaup_try=%s`, e.Slot)
		w.line(`      if [ "x$deltaup_bad_%s" = "x1" ]; then`, e.Slot)
		w.text(`
        if [ "x$deltaup_next" != "xended" ]; then set deltaup_next=u; fi
      fi
    fi
`)
	}
	w.text(`
    if [ "x$deltaup_try" = "x$deltaup_first" ]; then set deltaup_try=; fi
  fi

`)
	s.trial(w)
	s.rest(w)
	w.line("}\n")
}

// trial writes how a trial is counted, started and ended.
func (s *Script) trial(w *writer) {
	w.text(`
  if [ "x$deltaup_try" != "x" ]; then
    if [ "x$deltaup_next" != "xended" ]; then
      set deltaup_arg=deltaup.fellback=$deltaup_try
      set deltaup_tries=$deltaup_next
`)
	w.line("      save_env --file ($deltaup_root)%s deltaup_tries", s.Env)
	w.line("      set deltaup_tries=")
	w.line("      load_env --skip-sig --file ($deltaup_root)%s deltaup_tries", s.Env)
	w.text(`
      if [ "x$deltaup_next" != "xu" ]; then
        if [ "x$deltaup_tries" = "x$deltaup_next" ]; then
          set deltaup_arg=deltaup.trial
`)
	for _, e := range s.Entries {
		w.line(`          if [ "x$deltaup_try" = "x%s" ]; then deltaup_start_%s; fi`, e.Slot,
			e.Slot)
	}
	w.text(`
          # Still here: its kernel or initrd could not be loaded.
          set deltaup_arg=deltaup.fellback=$deltaup_try
          set deltaup_tries=k
`)
	w.line("          save_env --file ($deltaup_root)%s deltaup_tries", s.Env)
	w.line("        fi\n      fi\n    fi")
	for _, e := range s.Entries {
		w.line(`    if [ "x$deltaup_try" = "x%s" ]; then set deltaup_bad_%s=1; fi`, e.Slot, e.Slot)
	}
	w.line("  fi\n")
}

// rest writes what is booted when there is no trial to start.
func (s *Script) rest(w *writer) {
	for _, e := range s.Entries {
		w.line(`  if [ "x$deltaup_first" = "x%s" ]; then`, e.Slot)
		w.line(`    if [ "x$deltaup_bad_%s" != "x1" ]; then deltaup_start_%s; fi`, e.Slot, e.Slot)
		w.line(`  fi`)
	}
	w.text(`

  # The active slot does not load: the others that are not bad.
  if [ "x$deltaup_arg" = "x" ]; then
    if [ "x$deltaup_first" != "x" ]; then set deltaup_arg=deltaup.fellback=$deltaup_first; fi
  fi
`)
	for _, e := range s.Entries {
		w.line(`  if [ "x$deltaup_bad_%s" != "x1" ]; then deltaup_start_%s; fi`, e.Slot, e.Slot)
	}
}

// boot writes the function that is the counted entry.
func (s *Script) boot(w *writer) {
	vars := []string{"deltaup_active", "deltaup_trial", "deltaup_tries", "deltaup_id"}
	for _, e := range s.Entries {
		vars = append(vars, "deltaup_bad_"+e.Slot)
	}
	w.line("function deltaup_boot {\n  deltaup_prepare")
	for _, v := range vars {
		w.line("  set %s=", v)
	}
	w.line("  load_env --skip-sig --file ($deltaup_root)%s %s", s.Env, strings.Join(vars, " "))
	w.text(`
  if [ "x1" = "x2" ]; then
    # This GRUB has no "test": nothing can be compared, so that a trial has to wait.
    deltaup_start_$deltaup_active
  else
    deltaup_choose
  fi

  # Nothing has booted: whatever loads is better than nothing.
`)
	for _, e := range s.Entries {
		w.line("  deltaup_start_%s", e.Slot)
	}
	w.text(`
  echo "deltaup: no slot has a kernel and an initrd that GRUB can load"
  deltaup_restart
}

`)
}

// entries writes the menu.
func (s *Script) entries(w *writer) {
	w.line("menuentry \"deltaup\" --id %s --unrestricted {\n  deltaup_boot\n}", entryID)
	for _, e := range s.Entries {
		w.line("\nmenuentry \"deltaup: slot %s, not counted\" --id %s-%s {", e.Slot, entryID, e.Slot)
		w.line("  deltaup_prepare\n  deltaup_start_%s\n}", e.Slot)
	}
}
