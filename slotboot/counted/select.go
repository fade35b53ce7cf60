package counted

import (
	"slices"
	"strconv"

	"deltaup/slotboot/grubenv"
)

// Machine is what GRUB finds on a boot.
type Machine struct {
	Slots    Slots
	Env      []byte          // the file with the environment block; nil: there is none
	ReadOnly bool            // GRUB cannot write it
	Loads    map[string]bool // the slots whose kernel and initrd GRUB can load
}

// Choice is what GRUB does on one boot.
type Choice struct {
	Slot     string // whose kernel is started; empty when none can be loaded
	Trial    bool   // it is a try of the slot on trial
	FellBack string // the slot that would have been booted
	ID       string // State.ID
	Env      []byte // the environment block afterwards
}

// Args are the kernel arguments that tell userspace of the choice.
func (c Choice) Args() []string {
	args := []string{"deltaup.slot=" + c.Slot}
	if c.Trial {
		args = append(args, "deltaup.trial")
	}
	if c.FellBack != "" {
		args = append(args, "deltaup.fellback="+c.FellBack)
	}
	if c.ID != "" {
		args = append(args, "deltaup.env="+c.ID)
	}
	return args
}

// Select is the model of the script that package grub writes: what GRUB does on m. Its
// rules, in this order:
//
//  1. A pending trial that has a try left and is not bad: the try is taken off, and
//     when GRUB reads the lower number back, the trial's slot is started. When its kernel or initrd cannot
//     be loaded, the trial ends as Unloadable.
//  2. A pending trial without a try, or of a bad slot: the trial ends as Unconfirmed.
//  3. The active slot, unless it is bad.
//  4. The first other slot that is neither bad nor on trial, ended or not.
//  5. The first slot of all, whatever is known of it.
//
// A slot that cannot be loaded is passed over.
func Select(m Machine) Choice {
	g := machine{Machine: m}
	s := g.state()
	if s.Trial != "" {
		if started := g.trial(s); started {
			return Choice{Slot: s.Trial, Trial: true, ID: s.ID, Env: g.Env}
		}
		s = s.withBad(s.Trial, true) // for this boot only
	}
	order := slices.Clone(m.Slots)
	slices.SortStableFunc(order, func(x, y string) int { return s.rank(x) - s.rank(y) })
	for _, slot := range order {
		if !m.Loads[slot] {
			continue
		}
		if g.fellBack == "" && s.rank(slot) > 0 {
			g.fellBack = s.Active
		}
		return Choice{Slot: slot, FellBack: g.fellBack, ID: s.ID, Env: g.Env}
	}
	return Choice{Env: g.Env}
}

// rank orders slots by rules 3 to 5.
func (s State) rank(slot string) int {
	switch {
	case s.IsBad(slot):
		return 2
	case slot == s.Active:
		return 0
	}
	return 1
}

// machine is a Machine during one boot.
type machine struct {
	Machine
	fellBack string
}

// state is what the block says at this moment.
func (g *machine) state() State {
	block, ok := grubenv.LoadEnv(g.Env)
	if !ok {
		block = new(grubenv.Block)
	}
	return Of(block, g.Slots)
}

// trial carries out rules 1 and 2 and tells whether the trial's slot was started.
func (g *machine) trial(s State) bool {
	if !s.Pending() {
		return false
	}
	g.fellBack = s.Trial
	if s.Tries == 0 || s.IsBad(s.Trial) {
		g.save(codes[Unconfirmed])
		return false
	}
	left := strconv.Itoa(s.Tries - 1)
	if g.save(left); g.tries() != left {
		return false
	}
	if g.Loads[s.Trial] {
		g.fellBack = ""
		return true
	}
	g.save(codes[Unloadable])
	return false
}

// save is GRUB's save_env of the number of tries, which may fail without a word.
func (g *machine) save(value string) {
	if b, ok := grubenv.SaveEnv(g.Env, varTries, value); ok && !g.ReadOnly {
		g.Env = b
	}
}

// tries is what GRUB reads back.
func (g *machine) tries() string {
	block, ok := grubenv.LoadEnv(g.Env)
	if !ok {
		return ""
	}
	value, _ := block.Get(varTries)
	return value
}
