// Package grubtest is a model of what happens to an environment block outside of userspace, for
// tests: [Choose] is one start of GRUB with the script that package grub writes, and [NoteFailed]
// is what the initramfs does in a boot that it cannot carry on. Real GRUB is held to the one in
// package boottest, real shells to the other in package dist.
package grubtest

import (
	"slices"
	"strconv"
	"testing"

	"deltaup/slotboot/counted"
	"deltaup/slotboot/grub"
	"deltaup/slotboot/grubenv"
)

const varTries = "deltaup_tries"

// Start is what GRUB finds when it starts.
type Start struct {
	Slots    counted.Slots
	Env      []byte          // the file with the environment block; nil: there is none
	ReadOnly bool            // GRUB cannot write it
	Loads    map[string]bool // the slots whose kernel and initrd GRUB can load
}

// Choice is what GRUB does on one boot.
type Choice struct {
	Slot     string // whose kernel is started; empty when none can be loaded
	Trial    bool   // it is a try of the slot on trial
	FellBack string // the slot that would have been booted
	ID       string // of the environment block
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

// Choose is what GRUB does when it starts. Its rules, in this order:
//
//  1. A pending trial that has a try left and is not bad: the try is taken off, and when GRUB reads
//     the lower number back, the trial's slot is started. When its kernel or initrd cannot be
//     loaded, the trial ends as unloadable.
//  2. A pending trial without a try, or of a bad slot: the trial ends as unconfirmed.
//  3. The active slot, unless it is bad.
//  4. The first other slot that is neither bad nor on trial, ended or not.
//  5. The first slot of all, whatever is known of it.
//
// A slot that cannot be loaded is passed over.
func Choose(start Start) Choice {
	g := run{Start: start}
	s := g.state()
	passed := s.Bad // over: by rules 3 and 4
	if s.Trial != "" {
		if started := g.trial(s); started {
			return Choice{Slot: s.Trial, Trial: true, ID: s.ID, Env: g.Env}
		}
		passed = append(slices.Clone(passed), s.Trial)
	}
	rank := func(slot string) int {
		switch {
		case slices.Contains(passed, slot):
			return 2
		case slot == s.Active:
			return 0
		}
		return 1
	}
	order := slices.Clone(g.Slots)
	slices.SortStableFunc(order, func(x, y string) int { return rank(x) - rank(y) })
	for _, slot := range order {
		if !g.Loads[slot] {
			continue
		}
		if g.fellBack == "" && rank(slot) > 0 {
			g.fellBack = s.Active
		}
		return Choice{Slot: slot, FellBack: g.fellBack, ID: s.ID, Env: g.Env}
	}
	return Choice{Env: g.Env}
}

// run is GRUB from its start to its choice.
type run struct {
	Start
	fellBack string
}

// block is what GRUB reads at this moment.
func (g *run) block() *grubenv.Block {
	if block, ok := grubenv.LoadEnv(g.Env); ok {
		return block
	}
	return new(grubenv.Block)
}

func (g *run) state() counted.State { return grub.StateOf(g.block(), g.Slots) }

// trial carries out rules 1 and 2 and tells whether the trial's slot was started.
func (g *run) trial(s counted.State) bool {
	if !s.Pending() {
		return false
	}
	g.fellBack = s.Trial
	if s.Tries == 0 || s.IsBad(s.Trial) {
		g.save("u")
		return false
	}
	left := strconv.Itoa(s.Tries - 1)
	g.save(left)
	if back, _ := g.block().Get(varTries); back != left {
		return false
	}
	if g.Loads[s.Trial] {
		g.fellBack = ""
		return true
	}
	g.save("k")
	return false
}

// save is GRUB's save_env of the number of tries, which may fail without a word.
func (g *run) save(value string) {
	if b, ok := SaveEnv(g.Env, varTries, value); ok && !g.ReadOnly {
		g.Env = b
	}
}

// Block is an environment block with a state and nothing else.
func Block(t testing.TB, s counted.State) []byte {
	t.Helper()
	block := new(grubenv.Block)
	if err := grub.SetState(block, s); err != nil {
		t.Fatal(err)
	}
	b, err := block.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
