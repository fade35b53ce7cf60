package main

// Exit codes. doc/exit-codes.md says what each means and what helps.
const (
	exitOK      = 0
	exitFailure = 1 // anything not listed here
	exitUsage   = 2 // the command line or the configuration is wrong

	// What the command was given.
	exitInput   = 3 // an input file is damaged or of a kind that is not supported
	exitMissing = 4 // a file, release, channel or object does not exist
	exitVersion = 5 // a format version that this program does not know

	exitUnreachable = 6 // no mirror answered
	exitMirror      = 7 // a file of the mirror is damaged

	// What is written to.
	exitVerify  = 8 // what was written reads back wrong
	exitNoSpace = 9 // the slot or a disk is too small

	exitBusy = 10 // another deltaup works on the same mirror, slot or state

	// What was asked for does not go with what is there.
	exitConflict   = 11 // the version exists with other bytes
	exitCompatible = 12 // the release is for other machines
	exitBudget     = 13 // --max-bytes or --memory would be exceeded
	exitSeed       = 14 // the seed is not what it was when it was read

	// The machine's slots.
	exitUnhealthy  = 15 // a required health check failed
	exitRolledBack = 16 // the release did not stay, and no newer one is there
	exitOnTrial    = 17 // the running slot is on trial
	exitUnsound    = 18 // the slots or the boot loader do not permit it
	exitSettings   = 19 // the machine's settings do not go with the image

	// Whom to trust, and with which keys.
	exitUnsigned   = 20 // the mirror is not signed
	exitNoRoot     = 21 // this machine was never told whom to trust
	exitOtherRoot  = 22 // another publisher than before
	exitKeys       = 23 // private keys are lacking
	exitPassphrase = 24 // no passphrase opens a private key
	exitClock      = 25 // the publisher's clock is in doubt

	// Who has signed.
	exitForgedRoot    = 30 // a new root that none of the keys of the root before it has signed
	exitRootThreshold = 31 // a new root that too few of them have signed
	exitRootKeys      = 32 // a root that its own keys do not carry
	exitForged        = 33 // metadata that none of the publisher's keys has signed
	exitThreshold     = 34 // metadata that too few of them have signed

	// Older than what was trusted or installed before.
	exitOldRoot      = 40
	exitOldTimestamp = 41
	exitOldSnapshot  = 42
	exitOldTargets   = 43
	exitDowngrade    = 44 // the release is older than the installed one
	exitWithdrawn    = 45 // and than the installed one permits
	exitOtherRelease = 46 // the file of another release in its place

	// Metadata that is not current, not of one state, or none.
	exitFrozen    = 50 // nobody has signed the timestamp for too long
	exitExpired   = 51 // or root, snapshot or targets
	exitMixed     = 52 // signed files of different states
	exitMalformed = 53 // no signed metadata at all
	exitName      = 54 // a name that could lead out of the mirror

	// What a server sends.
	exitTooLong  = 60 // more than it may
	exitEncoding = 61 // compressed on the way, unasked
	exitBomb     = 62 // what decompresses to more than it may
	exitSlow     = 63 // too little to ever come to an end
	exitOtherSet = 64 // the patch set of another step

	exitNothing = 100 // the newest release runs already
	exitReboot  = 101 // the newest release is installed and boots next

	exitInterrupted = 130 // a signal ended it
	exitCrash       = 134 // the Go runtime ended it, by SIGABRT
)

// class is a range of exit codes that call for the same reaction.
type class struct {
	name        string
	first, last int
}

// classes are all of them, by their codes. A new cause takes a free code of its class, so that
// scripts that branch on classes know it.
var classes = []class{
	{"done", 0, 0},
	{"failure", 1, 1},
	{"usage", 2, 2},
	{"input", 3, 5},
	{"unreachable", 6, 6},
	{"mirror", 7, 7},
	{"medium", 8, 9},
	{"busy", 10, 10},
	{"conflict", 11, 14},
	{"machine", 15, 19},
	{"trust", 20, 29},
	{"forged", 30, 39},
	{"old", 40, 49},
	{"metadata", 50, 59},
	{"server", 60, 69},
	{"current", 100, 109},
	{"stopped", 128, 255}, // 128 and the number of a signal, as shells tell it
}

// classOf is the name of a code's class; "" when it has none.
func classOf(code int) string {
	for _, c := range classes {
		if c.first <= code && code <= c.last {
			return c.name
		}
	}
	return ""
}

// causes are all reasons why a command ends, by their codes. The word is what --json tells; it
// never changes its meaning.
var causes = []struct {
	code int
	word string
}{
	{exitOK, "done"},
	{exitFailure, "failure"},
	{exitFailure, "too-many-files"},
	{exitFailure, "apt"},
	{exitFailure, "apk"},
	{exitUsage, "usage"},
	{exitUsage, "wrong-configuration"},
	{exitUsage, "no-configuration"},
	{exitUsage, "wrong-definition"},
	{exitUsage, "slot-is-seed"},
	{exitUsage, "not-a-file"},
	{exitUsage, "several-images"},
	{exitUsage, "not-a-mirror"},
	{exitInput, "damaged-input"},
	{exitInput, "unsupported-input"},
	{exitInput, "mismatched-input"},
	{exitInput, "input-changed"},
	{exitInput, "container"},
	{exitInput, "too-large"},
	{exitInput, "wrong-lock"},
	{exitInput, "forbidden-in-image"},
	{exitMissing, "no-file"},
	{exitMissing, "no-mirror"},
	{exitMissing, "not-on-mirror"},
	{exitMissing, "no-artifact"},
	{exitMissing, "no-slot"},
	{exitMissing, "no-boot-state"},
	{exitMissing, "unknown-release"},
	{exitMissing, "no-settings"},
	{exitMissing, "not-in-settings"},
	{exitVersion, "unknown-format"},
	{exitVersion, "no-route"},
	{exitUnreachable, "unreachable"},
	{exitUnreachable, "denied"},
	{exitMirror, "damaged-mirror"},
	{exitMirror, "web-page"},
	{exitVerify, "reads-back-wrong"},
	{exitNoSpace, "no-space"},
	{exitBusy, "busy"},
	{exitConflict, "version-exists"},
	{exitConflict, "keys-exist"},
	{exitConflict, "layers-disagree"},
	{exitConflict, "scripts-left"},
	{exitConflict, "other-history"},
	{exitCompatible, "incompatible"},
	{exitBudget, "over-budget"},
	{exitBudget, "over-memory"},
	{exitSeed, "seed-changed"},
	{exitUnhealthy, "unhealthy"},
	{exitRolledBack, "rolled-back"},
	{exitOnTrial, "on-trial"},
	{exitUnsound, "unsound"},
	{exitUnsound, "unfinished-slot"},
	{exitUnsound, "bad-slot"},
	{exitUnsound, "last-good-slot"},
	{exitUnsound, "not-on-trial"},
	{exitUnsound, "not-booted-from-slot"},
	{exitUnsound, "booted-slot-in-doubt"},
	{exitUnsound, "not-mounted"},
	{exitUnsound, "damaged-boot-state"},
	{exitUnsound, "foreign-boot-state"},
	{exitUnsound, "unfit-boot-folder"},
	{exitUnsound, "unknown-boot-disk"},
	{exitUnsound, "damaged-settings"},
	{exitSettings, "settings-refused"},
	{exitUnsigned, "unsigned"},
	{exitNoRoot, "no-root"},
	{exitOtherRoot, "other-publisher"},
	{exitKeys, "too-few-keys"},
	{exitKeys, "no-keys"},
	{exitPassphrase, "wrong-passphrase"},
	{exitClock, "clock-in-doubt"},
	{exitForgedRoot, "forged-root"},
	{exitRootThreshold, "root-below-threshold"},
	{exitRootKeys, "root-below-own-threshold"},
	{exitForged, "forged-metadata"},
	{exitThreshold, "metadata-below-threshold"},
	{exitOldRoot, "old-root"},
	{exitOldTimestamp, "old-timestamp"},
	{exitOldSnapshot, "old-snapshot"},
	{exitOldTargets, "old-targets"},
	{exitDowngrade, "older-release"},
	{exitWithdrawn, "withdrawn"},
	{exitOtherRelease, "other-release"},
	{exitFrozen, "expired-timestamp"},
	{exitExpired, "expired-metadata"},
	{exitMixed, "mixed-metadata"},
	{exitMalformed, "no-metadata"},
	{exitName, "forbidden-name"},
	{exitTooLong, "too-long"},
	{exitEncoding, "unasked-compression"},
	{exitBomb, "bomb"},
	{exitSlow, "too-slow"},
	{exitOtherSet, "other-patch-set"},
	{exitNothing, "nothing-to-do"},
	{exitReboot, "reboot-needed"},
	{exitInterrupted, "interrupted"},
	{exitCrash, "crash"},
}

// codeOf is the exit code of a cause.
func codeOf(word string) int {
	for _, c := range causes {
		if c.word == word {
			return c.code
		}
	}
	return exitFailure
}
