package main

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/device"
	"deltaup/mirror"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
	"deltaup/slotboot"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/machine"
	"deltaup/trust"
)

// Exit codes, as documented in doc/exit-codes.md.
const (
	exitOK          = 0
	exitFailure     = 1   // anything not listed here
	exitUsage       = 2   // the command line is wrong
	exitInput       = 3   // an input file is damaged or of a kind that is not supported
	exitMissing     = 4   // a file, release, channel or object does not exist
	exitVersion     = 5   // a format version that this program does not know
	exitUnreachable = 6   // no mirror answered
	exitMirror      = 7   // a file of the mirror is damaged
	exitVerify      = 8   // what was written reads back wrong
	exitNoSpace     = 9   // the slot or a disk is too small
	exitBusy        = 10  // another deltaup works on the same mirror, slot or state
	exitConflict    = 11  // the version exists with other bytes
	exitCompatible  = 12  // the release is for other machines
	exitBudget      = 13  // --max-bytes would be exceeded
	exitSeed        = 14  // the seed changed while it was read
	exitUnhealthy   = 15  // a required health check failed
	exitRolledBack  = 16  // the release did not stay, and no newer one is there
	exitOnTrial     = 17  // the running slot is on trial
	exitUnsound     = 18  // the slots or the boot loader do not permit it
	exitUnsigned    = 20  // the mirror is not signed, or this machine trusts nobody
	exitSignature   = 21  // too few of the publisher's keys have signed
	exitRollback    = 22  // older than what was trusted before
	exitExpired     = 23  // nobody has vouched for it for too long
	exitMixed       = 24  // signed files of different states
	exitMalformed   = 25  // no signed metadata at all
	exitDowngrade   = 26  // the release is older than the installed one
	exitOtherRoot   = 27  // another publisher than before
	exitKeys        = 28  // private keys or passphrases are lacking
	exitNothing     = 100 // the newest release runs already
	exitReboot      = 101 // the newest release is installed and boots next
	exitInterrupted = 130 // a signal ended it
)

// usageError is a wrong command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// outcome says what an error means to the caller of a command.
type outcome struct {
	is   error
	code int
	hint string
}

// outcomes is looked through in order; the first that matches wins.
var outcomes = []outcome{
	{context.Canceled, exitInterrupted, ""},
	{trust.ErrNoRoot, exitUnsigned, "--root FILE says whom to trust, --insecure trusts everybody"},
	{trust.ErrUnsigned, exitUnsigned, "--insecure pulls from it all the same"},
	{trust.ErrSignature, exitSignature, ""},
	{trust.ErrRollback, exitRollback, ""},
	{trust.ErrExpired, exitExpired, "is the clock right? --accept-expired takes it for some time longer"},
	{trust.ErrMixed, exitMixed, ""},
	{trust.ErrMalformed, exitMalformed, ""},
	{trust.ErrDowngrade, exitDowngrade, ""},
	{trust.ErrOtherRoot, exitOtherRoot, "another --state for another publisher"},
	{trust.ErrKeys, exitKeys, ""},
	{trust.ErrPassphrase, exitKeys, ""},
	{trust.ErrInitialized, exitConflict, ""},
	{trust.ErrSigned, exitConflict, "publish it under a new version"},
	{trust.ErrUnknown, exitMissing, ""},
	{chunkstore.ErrVersion, exitVersion, "a newer deltaup may know it"},
	{device.ErrNothing, exitNothing, ""},
	{device.ErrReboot, exitReboot, ""},
	{device.ErrRolledBack, exitRolledBack, "--again installs it all the same"},
	{device.ErrTrial, exitOnTrial, "deltaup mark-good or mark-bad ends the trial"},
	{device.ErrUnhealthy, exitUnhealthy, ""},
	{device.ErrBusy, exitBusy, "run the same command again when it is done"},
	{device.ErrNoSlot, exitMissing, ""},
	{device.ErrNotWhole, exitUnsound, "deltaup pull fills it"},
	{device.ErrUnsound, exitUnsound, ""},
	{device.ErrUnfit, exitUnsound, "deltaup doctor says what is needed"},
	{device.ErrNoActive, exitUsage, "--active SLOT tells"},
	{machine.ErrOtherSlot, exitUnsound, "deltaup doctor says more"},
	{machine.ErrNoSlot, exitUnsound, "boot a slot through GRUB's entry of deltaup"},
	{counted.ErrLastGood, exitUnsound, ""},
	{counted.ErrBad, exitUnsound, "deltaup mark-active SLOT takes the mark away"},
	{counted.ErrNotTrial, exitUnsound, ""},
	{config.ErrNone, exitUsage, ""},
	{apply.ErrSeed, exitSeed, "nothing fetched is lost"},
	{apply.ErrSlotIsSeed, exitUsage, ""},
	{apply.ErrIncompatible, exitCompatible, ""},
	{apply.ErrNoArtifact, exitMissing, ""},
	{apply.ErrBusy, exitBusy, "run the same command again when it is done"},
	{slotboot.ErrBusy, exitBusy, ""},
	{apply.ErrVerify, exitVerify, "the slot is left unbootable; suspect its medium"},
	{apply.ErrNoSpace, exitNoSpace, "nothing fetched is lost"},
	{syscall.ENOSPC, exitNoSpace, "free some space and run the same command again"},
	{mirror.ErrExists, exitConflict, "publish it under a new version"},
	{mirror.ErrBusy, exitBusy, ""},
	{mirror.ErrDamaged, exitMirror, ""},
	{mirror.ErrMissing, exitMissing, ""},
	// Routes that failed have said why, above; what is left are codecs and formats.
	{delta.ErrNoRoute, exitVersion, "a newer deltaup may know the codec"},
	{mirror.ErrBudget, exitBudget, "nothing fetched is lost"},
	{mirror.ErrUnreachable, exitUnreachable, "run the same command again later: nothing fetched is lost"},
	{mirror.ErrMismatch, exitInput, ""},
	{squashfs.ErrCorrupt, exitInput, ""},
	{squashfs.ErrUnsupported, exitInput, ""},
	{chunkstore.ErrCorrupt, exitInput, ""},
	{tree.ErrKind, exitInput, ""},
	{tree.ErrMalformed, exitInput, ""},
	{mkimage.ErrContent, exitInput, "it may have changed while it was read"},
	{errKind, exitInput, ""},
	{fs.ErrNotExist, exitMissing, ""},
}

// explain gives an error's exit code and the one line to print.
func explain(err error) (code int, message string) {
	message = err.Error()
	var usage *usageError
	var wrong *config.Error
	if errors.As(err, &usage) || errors.As(err, &wrong) {
		return exitUsage, message
	}
	for _, o := range outcomes {
		if errors.Is(err, o.is) {
			if o.hint != "" {
				message += " (" + o.hint + ")"
			}
			return o.code, message
		}
	}
	return exitFailure, message
}
