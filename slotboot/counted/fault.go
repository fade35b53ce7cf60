package counted

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"deltaup/slotboot/grubenv"
)

// varFault is NAME:WHY:BOOTS, or empty. It is always there, so that the initramfs changes lines and
// adds none.
const varFault = "deltaup_fault"

// MaxFaults is in how many boots in a row a slot may fail for something that may only be late
// before the initramfs gives it up.
const MaxFaults = 3

// What the initramfs says of a boot that it cannot carry on.
const (
	FaultMissing = "missing" // the file system was mounted, and the slot's file is not there
	FaultImage   = "image"   // it can be read, and is no squashfs, or not all of one
	FaultDevice  = "device"  // the device did not appear
	FaultMount   = "mount"   // the file system that holds the slot cannot be mounted
	FaultRead    = "read"    // the medium has errors
	FaultKernel  = "kernel"  // this slot's kernel or initrd lacks something
)

// Fault is the last failure that the initramfs noted; the zero Fault is none. The slot was given up
// for it when it is marked bad.
type Fault struct {
	Slot  string
	Why   string // one of the words above, or of a later deltaup
	Boots int    // in a row that failed, 1 to 9
}

// Definite tells whether a failure counts at once: nothing that appears later would mend it.
func Definite(why string) bool { return why == FaultMissing || why == FaultImage }

var faultWord = regexp.MustCompile(`^[a-z]{1,8}$`)

// parseFault reads the value of varFault; what is none counts as if it were not there.
func parseFault(value string, slots Slots) Fault {
	parts := strings.Split(value, ":")
	if len(parts) != 3 || !slices.Contains(slots, parts[0]) || !faultWord.MatchString(parts[1]) {
		return Fault{}
	}
	if n := parts[2]; len(n) != 1 || n < "1" || n > "9" {
		return Fault{}
	}
	return Fault{Slot: parts[0], Why: parts[1], Boots: int(parts[2][0] - '0')}
}

func (f Fault) String() string {
	if f.Slot == "" {
		return ""
	}
	return f.Slot + ":" + f.Why + ":" + strconv.Itoa(f.Boots)
}

// FailedBoot is a boot that the initramfs cannot carry on.
type FailedBoot struct {
	Slot     string // deltaup.slot
	ID       string // deltaup.env
	Trial    bool   // deltaup.trial
	FellBack bool   // deltaup.fellback
	Why      string
}

// Failed notes a failed boot. The slot is given up, which is a bad mark, when another one is
// neither bad nor the one of a trial, and when the failure is definite or the last of MaxFaults in
// a row. Failures that are not definite count only for the active slot: a trial has its tries, and
// what the machine fell back to is the last good slot, for which it waits.
func (s State) Failed(b FailedBoot) State {
	other := slices.ContainsFunc(s.Slots, func(name string) bool {
		return name != b.Slot && name != s.Trial && !s.IsBad(name)
	})
	if !other || !slices.Contains(s.Slots, b.Slot) || s.IsBad(b.Slot) {
		return s
	}
	fault := Fault{Slot: b.Slot, Why: b.Why, Boots: 1}
	if !Definite(b.Why) {
		if b.Trial || b.FellBack || s.Ended != "" || b.Slot != s.Active {
			return s
		}
		if s.Fault.Slot == b.Slot {
			fault.Boots = min(s.Fault.Boots+1, MaxFaults)
		}
	}
	s.Fault = fault
	if Definite(b.Why) || fault.Boots == MaxFaults {
		s = s.withBad(b.Slot, true)
		if b.Slot == s.Trial && s.Pending() {
			s.Tries = 0
		}
	}
	return s
}

// Settled takes the fault of a slot away that has booted after all.
func (s State) Settled(slot string) State {
	if s.Fault.Slot == slot && !s.IsBad(slot) {
		s.Fault = Fault{}
	}
	return s
}

// NoteFailed is the model of what dist/initramfs/deltaup.sh makes of an environment block in a
// failed boot: what Update would with Failed. The shell changes the first sector only, of a block
// that is as Update leaves it and is the one that GRUB has read; any other stays as it is.
func NoteFailed(env []byte, b FailedBoot) []byte {
	block, err := grubenv.Parse(env)
	if err != nil || b.ID == "" {
		return env
	}
	first, second := printable(env[:grubenv.Sector]), printable(env[grubenv.Sector:])
	if len(first) < grubenv.Sector || bytes.ContainsRune(first, '\\') ||
		bytes.Contains(second, []byte(grubenv.Prefix)) {
		return env
	}
	var slots Slots
	for _, name := range block.Names() {
		if slot, ok := strings.CutPrefix(name, badPrefix); ok {
			slots = append(slots, slot)
		}
	}
	if slots.Validate() != nil {
		return env
	}
	closed := env[grubenv.Sector-1] == '\n'
	s := Of(block, slots)
	before, ok := firstSector(block, s, closed)
	if !ok || s.ID != b.ID || !bytes.Equal(before, env[:grubenv.Sector]) {
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
func firstSector(block *grubenv.Block, s State, closed bool) ([]byte, bool) {
	ours := new(grubenv.Block)
	for _, name := range block.Names() {
		value, _ := block.Get(name)
		if strings.HasPrefix(name, grubenv.Prefix) && ours.Set(name, value) != nil {
			return nil, false
		}
	}
	if closed && ours.Set("closed", "") != nil || s.store(ours) != nil {
		return nil, false
	}
	b, err := ours.Marshal()
	if err != nil {
		return nil, false
	}
	return b[:grubenv.Sector], true
}
