package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/apply"
	"deltaup/apply/state"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/device"
	"deltaup/internal/command"
	"deltaup/internal/plainfile"
	"deltaup/mirror"
	"deltaup/mirror/client"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
	"deltaup/settings"
	"deltaup/settings/tarball"
	"deltaup/slotboot"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/loader"
	"deltaup/slotboot/machine"
	"deltaup/trust"
)

// usageError is a wrong command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// outcome says what an error means to the caller of a command.
type outcome struct {
	is    error
	role  string // whose signed metadata it is about; "" is any, or none
	cause string // a word of causes
	hint  string
}

const (
	hintThief   = "another mirror; tell the publisher"
	hintExpired = "is the clock right? --accept-expired takes it for some time longer"
)

// outcomes is looked through in order; the first that matches wins.
var outcomes = slices.Concat(ourOutcomes, publisherOutcomes, systemOutcomes)

var ourOutcomes = []outcome{
	{is: context.Canceled, cause: "interrupted"},
	{is: command.ErrUsage, cause: "usage"},
	{
		is:    syscall.EMFILE,
		cause: "too-many-files",
		hint:  fmt.Sprintf("ulimit -n permits too few; %d suffice", enoughFiles),
	},
	{
		is:    trust.ErrNoRoot,
		cause: "no-root",
		hint:  "--root FILE says whom to trust, --insecure trusts everybody",
	},
	{is: mirror.ErrNowhere, cause: "no-mirror", hint: "is the address right?"},
	{is: trust.ErrUnsigned, cause: "unsigned", hint: "--insecure pulls from it all the same"},
	{is: trust.ErrOtherRoot, cause: "other-publisher", hint: "another --state for another publisher"},
	{is: trust.ErrKeys, cause: "too-few-keys"},
	{is: trust.ErrPassphrase, cause: "wrong-passphrase"},
	{
		is:    trust.ErrClock,
		cause: "clock-in-doubt",
		hint:  "once somebody has made sure of it --clock-is-right signs; doc/keys.md G",
	},
	{is: trust.ErrSignature, role: metadata.ROOT, cause: "forged-root", hint: hintThief},
	{is: trust.ErrThreshold, role: metadata.ROOT, cause: "root-below-threshold", hint: hintThief},
	{is: trust.ErrRootKeys, cause: "root-below-own-threshold", hint: hintThief},
	{is: trust.ErrSignature, cause: "forged-metadata", hint: hintThief},
	{is: trust.ErrThreshold, cause: "metadata-below-threshold", hint: hintThief},
	{is: trust.ErrRollback, role: metadata.ROOT, cause: "old-root"},
	{is: trust.ErrRollback, role: metadata.TIMESTAMP, cause: "old-timestamp"},
	{is: trust.ErrRollback, role: metadata.SNAPSHOT, cause: "old-snapshot"},
	{is: trust.ErrRollback, role: metadata.TARGETS, cause: "old-targets"},
	{is: trust.ErrDowngrade, cause: "older-release", hint: "--allow-downgrade permits it"},
	{is: trust.ErrWithdrawn, cause: "withdrawn"},
	{is: trust.ErrExpired, role: metadata.TIMESTAMP, cause: "expired-timestamp", hint: hintExpired},
	{is: trust.ErrExpired, cause: "expired-metadata", hint: hintExpired},
	{is: trust.ErrMixed, cause: "mixed-metadata"},
	{is: mirror.ErrName, cause: "forbidden-name"},
	{is: trust.ErrMalformed, cause: "no-metadata"},
	{is: trust.ErrInitialized, cause: "keys-exist"},
	{is: trust.ErrSigned, cause: "version-exists", hint: "publish it under a new version"},
	{is: trust.ErrUnknown, cause: "not-on-mirror"},
	{is: chunkstore.ErrVersion, cause: "unknown-format", hint: "a newer deltaup may know it"},
	{is: device.ErrNothing, cause: "nothing-to-do"},
	{is: device.ErrReboot, cause: "reboot-needed"},
	{is: device.ErrRolledBack, cause: "rolled-back", hint: "--again installs it all the same"},
	{is: device.ErrTrial, cause: "on-trial", hint: "deltaup mark-good or mark-bad ends the trial"},
	{is: device.ErrUnhealthy, cause: "unhealthy"},
	{is: device.ErrBusy, cause: "busy", hint: "run the same command again when it is done"},
	{is: loader.ErrBusy, cause: "busy", hint: "run the same command again when it is done"},
	{is: device.ErrNoSlot, cause: "no-slot"},
	{is: device.ErrUnknownRelease, cause: "unknown-release", hint: "--version tells"},
	{is: device.ErrNotWhole, cause: "unfinished-slot", hint: "deltaup pull fills it"},
	{is: loader.ErrNone, cause: "no-boot-state", hint: "deltaup boot setup makes it"},
	{is: loader.ErrDamaged, cause: "damaged-boot-state", hint: "deltaup boot setup mends it"},
	{is: loader.ErrUnknown, cause: "unknown-boot-disk", hint: "/dev and /sys have to be there"},
	{is: loader.ErrOutput, cause: "usage"},
	{is: loader.ErrForeign, cause: "foreign-boot-state", hint: "deltaup doctor says what helps"},
	{is: machine.ErrNotMounted, cause: "not-mounted"},
	{is: device.ErrUnsound, cause: "unsound"},
	{is: loader.ErrUnfit, cause: "unfit-boot-folder", hint: "deltaup doctor says what is needed"},
	{is: device.ErrNoActive, cause: "usage", hint: "--active SLOT tells"},
	{is: machine.ErrOtherSlot, cause: "booted-slot-in-doubt", hint: "deltaup doctor says more"},
	{is: machine.ErrNoSlot, cause: "not-booted-from-slot", hint: "boot a slot through GRUB's entry of deltaup"},
	{is: counted.ErrLastGood, cause: "last-good-slot"},
	{is: counted.ErrBad, cause: "bad-slot", hint: "deltaup mark-active SLOT takes the mark away"},
	{is: counted.ErrNotTrial, cause: "not-on-trial"},
	{is: config.ErrNone, cause: "no-configuration"},
	{
		is:    errSettingsRefused,
		cause: "settings-refused",
		hint:  "deltaup settings diff image PATH shows what the machine changed; --settings-force activates it all the same",
	},
	{is: errNoSettings, cause: "no-settings", hint: "the image has no list of settings, or there is no data partition"},
	{is: errNotInUse, cause: "no-settings", hint: "deltaup.settings=off, or a boot that failed; deltaup doctor says more"},
	{is: settings.ErrNoConflict, cause: "not-in-settings"},
	{is: settings.ErrMessage, cause: "usage"},
	{is: settings.ErrBranch, cause: "usage"},
	{is: errSecret, cause: "usage"},
	{is: errNoFile, cause: "usage"},
	{is: errSettingsBusy, cause: "busy", hint: "run the same command again when it is done"},
	{is: settings.ErrNone, cause: "not-in-settings"},
	{is: settings.ErrDamaged, cause: "damaged-settings", hint: "deltaup doctor says more"},
	{is: settings.ErrTooMuch, cause: "too-large", hint: "nothing new is kept until that is smaller"},
	{is: settings.ErrEncrypted, cause: "unsupported-input"},
	{is: settings.ErrNoArchive, cause: "unsupported-input"},
	{is: tarball.ErrFormat, cause: "damaged-input"},
	{is: tarball.ErrUnsupported, cause: "unsupported-input"},
	{is: settings.ErrOtherHistory, cause: "other-history", hint: "another --branch or another DIR"},
	{is: apply.ErrSeed, cause: "seed-changed", hint: "nothing fetched is lost"},
	{is: apply.ErrSlotIsSeed, cause: "slot-is-seed"},
	{is: apply.ErrIncompatible, cause: "incompatible"},
	{is: apply.ErrNoArtifact, cause: "no-artifact"},
	{is: state.ErrBusy, cause: "busy", hint: "run the same command again when it is done"},
	{is: slotboot.ErrBusy, cause: "busy"},
	{
		is:    apply.ErrVerify,
		cause: "reads-back-wrong",
		hint:  "the slot is left unbootable; suspect its medium",
	},
	{is: apply.ErrNoSpace, cause: "no-space", hint: "nothing fetched is lost"},
	{is: syscall.ENOSPC, cause: "no-space", hint: "free some space and run the same command again"},
	// of a command that makes one; others end with ErrNowhere
	{is: mirror.ErrNoMirror, cause: "not-a-mirror"},
	{is: mirror.ErrBusy, cause: "busy"},
	{is: client.ErrTooLong, cause: "too-long"},
	{is: client.ErrEncoding, cause: "unasked-compression"},
	{is: chunkstore.ErrBomb, cause: "bomb"},
	{is: client.ErrSlow, cause: "too-slow", hint: "another mirror; --min-rate says what is too slow"},
	{is: mirror.ErrOtherRelease, cause: "other-release"},
	{is: mirror.ErrOtherSet, cause: "other-patch-set"},
	{is: client.ErrPage, cause: "web-page", hint: "is the address right, and is the network open?"},
	{is: mirror.ErrDamaged, cause: "damaged-mirror"},
	{is: client.ErrMissing, cause: "not-on-mirror"},
	{is: apply.ErrMemory, cause: "over-memory", hint: "--memory says how much may be taken"},
	// Routes that failed have said why, above; what is left are codecs and formats.
	{is: delta.ErrNoRoute, cause: "no-route", hint: "a newer deltaup may know the codec"},
	{is: client.ErrBudget, cause: "over-budget", hint: "nothing fetched is lost"},
	{
		is:    client.ErrDenied,
		cause: "denied",
		hint:  "are the address, and the password, token or certificate for it, right?",
	},
	{
		is:    client.ErrUnreachable,
		cause: "unreachable",
		hint:  "run the same command again later: nothing fetched is lost",
	},
	{is: squashfs.ErrNoFile, cause: "not-a-file"},
	{
		is:    squashfs.ErrSeveral,
		cause: "several-images",
		hint:  "mkimage --offset BYTE takes one; losetup -r -f --show -o BYTE makes a device of one",
	},
	{is: squashfs.ErrCorrupt, cause: "damaged-input"},
	{is: squashfs.ErrUnsupported, cause: "unsupported-input"},
	{is: chunkstore.ErrCorrupt, cause: "damaged-input"},
	{is: mkimage.ErrContent, cause: "input-changed", hint: "it may have changed while it was read"},
}

// systemOutcomes are of errors that no package of ours has a name for.
var systemOutcomes = []outcome{
	{is: plainfile.ErrKind, cause: "unsupported-input"},
	{is: plainfile.ErrTooLong, cause: "unsupported-input"},
	{is: fs.ErrNotExist, cause: "no-file"},
}

// failure is how a command ends that does not end well, as --json tells it.
type failure struct {
	Message string `json:"message"`
	Code    int    `json:"code"`
	Class   string `json:"class"`
	Cause   string `json:"cause"`
	Hint    string `json:"hint,omitempty"`
}

// explain says what an error means to the caller.
func explain(err error) failure {
	cause, hint := causeOf(err)
	code := codeOf(cause)
	return failure{err.Error(), code, classOf(code), cause, hint}
}

// line is what people read.
func (f failure) line() string {
	if f.Hint == "" {
		return f.Message
	}
	return f.Message + " (" + f.Hint + ")"
}

func causeOf(err error) (cause, hint string) {
	var usage *usageError
	if errors.As(err, &usage) {
		return "usage", ""
	}
	var wrong *config.Error
	if errors.As(err, &wrong) {
		return "wrong-configuration", ""
	}
	var refusal *trust.Refusal
	role := ""
	if errors.As(err, &refusal) {
		role = refusal.Role
	}
	for _, o := range outcomes {
		if errors.Is(err, o.is) && (o.role == "" || o.role == role) {
			return o.cause, o.hint
		}
	}
	return "failure", ""
}
