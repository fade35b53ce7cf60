package grubtest

import (
	"bytes"
	"slices"
	"strings"

	"deltaup/slotboot/counted"
	"deltaup/slotboot/grub"
	"deltaup/slotboot/grubenv"
)

// NoteFailed is what dist/initramfs/deltaup.sh makes of an environment block in a failed boot whose
// kernel was given id as deltaup.env=: what grub.ChangeState would with counted.State.Failed. The
// shell changes the first sector alone, and only of a block that is as deltaup leaves it and that
// GRUB has read. Any other stays as it is.
func NoteFailed(env []byte, id string, b counted.FailedBoot) []byte {
	block, err := grubenv.Parse(env)
	if err != nil || id == "" {
		return env
	}
	first, second := printable(env[:grubenv.Sector]), printable(env[grubenv.Sector:])
	if len(first) < grubenv.Sector || bytes.ContainsRune(first, '\\') ||
		bytes.Contains(second, []byte(grubenv.Prefix)) {
		return env
	}
	var slots counted.Slots
	for _, name := range block.Names() {
		if slot, ok := strings.CutPrefix(name, "deltaup_bad_"); ok {
			slots = append(slots, slot)
		}
	}
	if slots.Validate() != nil {
		return env
	}
	closed := env[grubenv.Sector-1] == '\n'
	s := grub.StateOf(block, slots)
	before, ok := firstSector(block, s, closed)
	if !ok || s.ID != id || !bytes.Equal(before, env[:grubenv.Sector]) {
		return env
	}
	after, ok := firstSector(block, s.Failed(b), closed)
	if !ok {
		return env
	}
	return slices.Concat(after, env[grubenv.Sector:])
}

// printable leaves out what the shell cannot hold.
func printable(b []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r != '\n' && (r < ' ' || r > '~') {
			return -1
		}
		return r
	}, b)
}

// firstSector is our part of the block with a state, and with a newline at its end when closed. It
// is false when that is more than a sector.
func firstSector(block *grubenv.Block, s counted.State, closed bool) ([]byte, bool) {
	ours := new(grubenv.Block)
	for _, name := range block.Names() {
		value, _ := block.Get(name)
		if strings.HasPrefix(name, grubenv.Prefix) && ours.Set(name, value) != nil {
			return nil, false
		}
	}
	if closed && ours.Set("closed", "") != nil || grub.SetState(ours, s) != nil {
		return nil, false
	}
	b, err := ours.Marshal()
	if err != nil {
		return nil, false
	}
	return b[:grubenv.Sector], true
}
