package counted

import (
	"slices"
	"strconv"
	"strings"

	"deltaup/internal/chars"
)

// maxFaults is the number of failed boots in a row after which the initramfs gives up a slot whose
// medium may only be late, or goes on without the data partition.
const maxFaults = 3

// What the initramfs says of a boot that it cannot carry on.
const (
	FaultMissing = "missing" // the file system was mounted, and the slot's file is not there
	FaultImage   = "image"   // it can be read, and is no squashfs, or not all of one
	FaultDevice  = "device"  // the device did not appear
	FaultMount   = "mount"   // the file system that holds the slot cannot be mounted
	FaultRead    = "read"    // the medium has errors
	FaultKernel  = "kernel"  // this slot's kernel or initrd lacks something
	FaultData    = "data"    // the data partition, which is no fault of the slot's
)

// Fault is a failure that the initramfs noted; the zero Fault is none. If the slot is marked bad,
// it was given up for it, unless it is FaultData.
type Fault struct {
	Slot  string
	Why   string // one of the words above, or of a later deltaup
	Boots int    // in a row that failed, 1 to 9
}

// Definite tells whether a failure counts at once, because waiting does not mend it.
func Definite(why string) bool { return why == FaultMissing || why == FaultImage }

const maxWhy = 8 // letters

// ParseFault reads the text that [Fault.String] makes. Anything else is the zero Fault.
func ParseFault(text string, slots Slots) Fault {
	parts := strings.Split(text, ":")
	if len(parts) != 3 || !slices.Contains(slots, parts[0]) ||
		len(parts[1]) > maxWhy || !chars.Some(parts[1], chars.Lower) {
		return Fault{}
	}
	if n := parts[2]; len(n) != 1 || n < "1" || n > "9" {
		return Fault{}
	}
	return Fault{Slot: parts[0], Why: parts[1], Boots: int(parts[2][0] - '0')}
}

// String is SLOT:WHY:BOOTS, or empty for no fault. It is what the initramfs writes.
func (f Fault) String() string {
	if f.Slot == "" {
		return ""
	}
	return f.Slot + ":" + f.Why + ":" + strconv.Itoa(f.Boots)
}

// FailedBoot is a boot that the initramfs cannot carry on.
type FailedBoot struct {
	Slot     string // that the boot loader started
	Trial    bool   // the boot was a try of a trial
	FellBack bool   // another slot would have been booted
	Why      string // one of the words above
}

// Failed is the state after a failed boot. The slot is given up, that is marked bad, on two
// conditions. Another slot is neither bad nor the one of a trial. And the failure is definite, or
// the last of three in a row. Failures that are not definite count only for the active slot: a
// trial has its tries, and for the last good slot, which the machine fell back to, it waits.
//
// FaultData gives no slot up, because every slot has the same data partition. It counts in each
// boot but a trial's; the third in a row goes on without.
func (s State) Failed(b FailedBoot) State {
	if b.Why == FaultData {
		return s.failedForData(b)
	}
	if s.otherGood(b.Slot) == "" || !slices.Contains(s.Slots, b.Slot) || s.IsBad(b.Slot) {
		return s
	}
	fault := Fault{Slot: b.Slot, Why: b.Why, Boots: 1}
	if !Definite(b.Why) {
		if b.Trial || b.FellBack || s.Ended != "" || b.Slot != s.Active {
			return s
		}
		if s.Fault.Slot == b.Slot {
			fault.Boots = min(s.Fault.Boots+1, maxFaults)
		}
	}
	s.Fault = fault
	if Definite(b.Why) || fault.Boots == maxFaults {
		s = s.withBad(b.Slot, true)
		if b.Slot == s.Trial && s.Pending() {
			s.Tries = 0
		}
	}
	return s
}

func (s State) failedForData(b FailedBoot) State {
	if b.Trial || !slices.Contains(s.Slots, b.Slot) {
		return s
	}
	fault := Fault{Slot: b.Slot, Why: FaultData, Boots: 1}
	if s.Fault.Slot == b.Slot || s.Fault.Why == FaultData {
		fault.Boots = min(s.Fault.Boots+1, maxFaults)
	}
	s.Fault = fault
	return s
}

// Settled forgets the fault of a slot that has booted after all, with its data.
func (s State) Settled(slot string) State {
	if s.Fault.Why == FaultData || s.Fault.Slot == slot && !s.IsBad(slot) {
		s.Fault = Fault{}
	}
	return s
}
