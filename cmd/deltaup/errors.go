package main

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/device"
	"deltaup/internal/plainfile"
	"deltaup/mirror"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
	"deltaup/slotboot"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grubenv"
	"deltaup/slotboot/machine"
	"deltaup/trust"
)

// Exit codes, as documented in doc/exit-codes.md.
const (
	exitOK          = 0
	exitFailure     = 1  // anything not listed here
	exitUsage       = 2  // the command line is wrong
	exitInput       = 3  // an input file is damaged or of a kind that is not supported
	exitMissing     = 4  // a file, release, channel or object does not exist
	exitVersion     = 5  // a format version that this program does not know
	exitUnreachable = 6  // no mirror answered
	exitMirror      = 7  // a file of the mirror is damaged
	exitVerify      = 8  // what was written reads back wrong
	exitNoSpace     = 9  // the slot or a disk is too small
	exitBusy        = 10 // another deltaup works on the same mirror, slot or state
	exitConflict    = 11 // the version exists with other bytes
	exitCompatible  = 12 // the release is for other machines
	exitBudget      = 13 // --max-bytes would be exceeded
	exitSeed        = 14 // the seed is not what it was when it was read
	exitUnhealthy   = 15 // a required health check failed
	exitRolledBack  = 16 // the release did not stay, and no newer one is there
	exitOnTrial     = 17 // the running slot is on trial
	exitUnsound     = 18 // the slots or the boot loader do not permit it

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

	// What a mirror sends.
	exitTooLong  = 60 // more than it may
	exitEncoding = 61 // compressed on the way, unasked
	exitBomb     = 62 // what decompresses to more than it may
	exitSlow     = 63 // too little to ever come to an end
	exitOtherSet = 64 // the patch set of another step

	exitNothing     = 100 // the newest release runs already
	exitReboot      = 101 // the newest release is installed and boots next
	exitInterrupted = 130 // a signal ended it
	exitCrash       = 134 // the Go runtime ended it, by SIGABRT
)

// errKind is what inspect says of a file that is none of deltaup's.
var errKind = errors.New("neither an image nor a recipe, pack or index")

// usageError is a wrong command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// outcome says what an error means to the caller of a command.
type outcome struct {
	is   error
	role string // whose signed metadata it is about; "" is any, or none
	code int
	hint string
}

const (
	hintThief   = "another mirror; tell the publisher"
	hintExpired = "is the clock right? --accept-expired takes it for some time longer"
)

// outcomes is looked through in order; the first that matches wins.
var outcomes = []outcome{
	{is: context.Canceled, code: exitInterrupted},
	{is: syscall.EMFILE, code: exitFailure, hint: "ulimit -n permits too few; 64 suffice"},
	{
		is:   trust.ErrNoRoot,
		code: exitNoRoot,
		hint: "--root FILE says whom to trust, --insecure trusts everybody",
	},
	{is: mirror.ErrNowhere, code: exitMissing, hint: "is the address right?"},
	{is: trust.ErrUnsigned, code: exitUnsigned, hint: "--insecure pulls from it all the same"},
	{is: trust.ErrOtherRoot, code: exitOtherRoot, hint: "another --state for another publisher"},
	{is: trust.ErrKeys, code: exitKeys},
	{is: trust.ErrPassphrase, code: exitPassphrase},
	{
		is:   trust.ErrClock,
		code: exitClock,
		hint: "once somebody has made sure of it --clock-is-right signs; doc/keys.md G",
	},
	{is: trust.ErrSignature, role: metadata.ROOT, code: exitForgedRoot, hint: hintThief},
	{is: trust.ErrThreshold, role: metadata.ROOT, code: exitRootThreshold, hint: hintThief},
	{is: trust.ErrRootKeys, code: exitRootKeys, hint: hintThief},
	{is: trust.ErrSignature, code: exitForged, hint: hintThief},
	{is: trust.ErrThreshold, code: exitThreshold, hint: hintThief},
	{is: trust.ErrRollback, role: metadata.ROOT, code: exitOldRoot},
	{is: trust.ErrRollback, role: metadata.TIMESTAMP, code: exitOldTimestamp},
	{is: trust.ErrRollback, role: metadata.SNAPSHOT, code: exitOldSnapshot},
	{is: trust.ErrRollback, role: metadata.TARGETS, code: exitOldTargets},
	{is: trust.ErrDowngrade, code: exitDowngrade, hint: "--allow-downgrade permits it"},
	{is: trust.ErrWithdrawn, code: exitWithdrawn},
	{is: trust.ErrExpired, role: metadata.TIMESTAMP, code: exitFrozen, hint: hintExpired},
	{is: trust.ErrExpired, code: exitExpired, hint: hintExpired},
	{is: trust.ErrMixed, code: exitMixed},
	{is: mirror.ErrName, code: exitName},
	{is: trust.ErrMalformed, code: exitMalformed},
	{is: trust.ErrInitialized, code: exitConflict},
	{is: trust.ErrSigned, code: exitConflict, hint: "publish it under a new version"},
	{is: trust.ErrUnknown, code: exitMissing},
	{is: chunkstore.ErrVersion, code: exitVersion, hint: "a newer deltaup may know it"},
	{is: device.ErrNothing, code: exitNothing},
	{is: device.ErrReboot, code: exitReboot},
	{is: device.ErrRolledBack, code: exitRolledBack, hint: "--again installs it all the same"},
	{is: device.ErrTrial, code: exitOnTrial, hint: "deltaup mark-good or mark-bad ends the trial"},
	{is: device.ErrUnhealthy, code: exitUnhealthy},
	{is: device.ErrBusy, code: exitBusy, hint: "run the same command again when it is done"},
	{is: device.ErrNoSlot, code: exitMissing},
	{is: device.ErrUnknownRelease, code: exitMissing, hint: "--version tells"},
	{is: device.ErrNotWhole, code: exitUnsound, hint: "deltaup pull fills it"},
	{is: device.ErrNoBlock, code: exitMissing, hint: "deltaup boot setup makes it"},
	{is: device.ErrBlock, code: exitUnsound, hint: "deltaup boot setup mends it"},
	{is: device.ErrUnknown, code: exitUnsound, hint: "/dev and /sys have to be there"},
	{is: device.ErrOutput, code: exitUsage},
	{is: grubenv.ErrForeign, code: exitUnsound, hint: "deltaup doctor says what helps"},
	{is: machine.ErrNotMounted, code: exitUnsound},
	{is: device.ErrUnsound, code: exitUnsound},
	{is: device.ErrUnfit, code: exitUnsound, hint: "deltaup doctor says what is needed"},
	{is: device.ErrNoActive, code: exitUsage, hint: "--active SLOT tells"},
	{is: machine.ErrOtherSlot, code: exitUnsound, hint: "deltaup doctor says more"},
	{is: machine.ErrNoSlot, code: exitUnsound, hint: "boot a slot through GRUB's entry of deltaup"},
	{is: counted.ErrLastGood, code: exitUnsound},
	{is: counted.ErrBad, code: exitUnsound, hint: "deltaup mark-active SLOT takes the mark away"},
	{is: counted.ErrNotTrial, code: exitUnsound},
	{is: config.ErrNone, code: exitUsage},
	{is: apply.ErrSeed, code: exitSeed, hint: "nothing fetched is lost"},
	{is: apply.ErrSlotIsSeed, code: exitUsage},
	{is: apply.ErrIncompatible, code: exitCompatible},
	{is: apply.ErrNoArtifact, code: exitMissing},
	{is: apply.ErrBusy, code: exitBusy, hint: "run the same command again when it is done"},
	{is: slotboot.ErrBusy, code: exitBusy},
	{
		is:   apply.ErrVerify,
		code: exitVerify,
		hint: "the slot is left unbootable; suspect its medium",
	},
	{is: apply.ErrNoSpace, code: exitNoSpace, hint: "nothing fetched is lost"},
	{is: syscall.ENOSPC, code: exitNoSpace, hint: "free some space and run the same command again"},
	// and one is to be made; who wants one that is there gets ErrNowhere
	{is: mirror.ErrNoMirror, code: exitUsage},
	{
		is:   mirror.ErrSigned,
		code: exitKeys,
		hint: "--keys DIR signs it; --unsigned is for those who read the mirror unverified",
	},
	{is: mirror.ErrExists, code: exitConflict, hint: "publish it under a new version"},
	{is: mirror.ErrBusy, code: exitBusy},
	{is: mirror.ErrTooLong, code: exitTooLong},
	{is: mirror.ErrEncoding, code: exitEncoding},
	{is: chunkstore.ErrBomb, code: exitBomb},
	{is: mirror.ErrSlow, code: exitSlow, hint: "another mirror; --min-rate says what is too slow"},
	{is: mirror.ErrOtherRelease, code: exitOtherRelease},
	{is: mirror.ErrOtherSet, code: exitOtherSet},
	{is: mirror.ErrPage, code: exitMirror, hint: "is the address right, and is the network open?"},
	{is: mirror.ErrDamaged, code: exitMirror},
	{is: mirror.ErrMissing, code: exitMissing},
	// Routes that failed have said why, above; what is left are codecs and formats.
	{is: delta.ErrNoRoute, code: exitVersion, hint: "a newer deltaup may know the codec"},
	{is: mirror.ErrBudget, code: exitBudget, hint: "nothing fetched is lost"},
	{
		is:   mirror.ErrDenied,
		code: exitUnreachable,
		hint: "are the address, and the password, token or certificate for it, right?",
	},
	{
		is:   mirror.ErrUnreachable,
		code: exitUnreachable,
		hint: "run the same command again later: nothing fetched is lost",
	},
	{is: mirror.ErrMismatch, code: exitInput},
	{is: squashfs.ErrNoFile, code: exitUsage},
	{is: squashfs.ErrCorrupt, code: exitInput},
	{is: squashfs.ErrUnsupported, code: exitInput},
	{is: chunkstore.ErrCorrupt, code: exitInput},
	{is: tree.ErrKind, code: exitInput},
	{is: tree.ErrMalformed, code: exitInput},
	{is: tree.ErrTooLarge, code: exitInput, hint: "--exclude leaves things out"},
	{is: tree.ErrContainer, code: exitInput,
		hint: "skopeo and umoci, undocker, or docker create and docker export give the root file system; --container-files takes the files as they are"},
	{is: mkimage.ErrContent, code: exitInput, hint: "it may have changed while it was read"},
	{is: errKind, code: exitInput},
	{is: plainfile.ErrKind, code: exitInput},
	{is: fs.ErrNotExist, code: exitMissing},
}

// explain gives an error's exit code and the one line to print.
func explain(err error) (code int, message string) {
	message = err.Error()
	var usage *usageError
	var wrong *config.Error
	if errors.As(err, &usage) || errors.As(err, &wrong) {
		return exitUsage, message
	}
	var refusal *trust.Refusal
	role := ""
	if errors.As(err, &refusal) {
		role = refusal.Role
	}
	for _, o := range outcomes {
		if errors.Is(err, o.is) && (o.role == "" || o.role == role) {
			if o.hint != "" {
				message += " (" + o.hint + ")"
			}
			return o.code, message
		}
	}
	return exitFailure, message
}
