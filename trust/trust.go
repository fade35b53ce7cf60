// Package trust makes and verifies the signed metadata of a mirror, after The Update Framework
// (TUF): what a publisher signs and what a target believes. Whoever else controls the mirror can
// then withhold updates, and nothing else.
//
// A publisher makes keys once with [Init]. [Publisher.Add] signs each release while package publish
// adds it, and [Publisher.Refresh], called on a schedule, says that nothing newer exists.
// [Publisher.Rotate] replaces keys.
//
// A target begins with [Refresh], which reads what is new since the last time. The target then
// takes from the [Repository] the hash of the release that a channel or a version names. The
// release names everything else that an update needs by hash. The target keeps what it trusts in
// its state folder, which outlives images.
//
// go-tuf judges signatures, versions and expiry. This package decides which files there are, in
// which order they become durable, which times a clock may show, and in which order releases follow
// each other. Format: doc/trust.md; keys: doc/keys.md.
package trust

import "errors"

// Why a target refuses. ErrNoRoot and ErrOtherRoot are about the target's own set-up; the others
// are about the mirror, or the line to it. An error about a file of signed metadata is a [Refusal],
// which tells the role.
var (
	// ErrUnsigned is wrapped when a mirror has no signed metadata.
	ErrUnsigned = errors.New("the mirror is not signed")
	// ErrSignature is wrapped when no key that the trusted root gives a role has signed the role's
	// file. For a new root, the keys of the root before it count.
	ErrSignature = errors.New("signed by none of the publisher's keys")
	// ErrThreshold is wrapped when some of these keys have signed a file, but too few.
	ErrThreshold = errors.New("signed by too few of the publisher's keys")
	// ErrRootKeys is wrapped when too few of the keys that a root itself names have signed it.
	ErrRootKeys = errors.New("not signed by enough of the keys that it names itself")
	// ErrRollback is wrapped when a file is older than one that was trusted before.
	ErrRollback = errors.New("older than what was trusted before")
	// ErrExpired is wrapped when a file's signatures have expired.
	ErrExpired = errors.New("expired")
	// ErrMixed is wrapped when a file is not the one that signed metadata names.
	ErrMixed = errors.New("not the file that the signed metadata names")
	// ErrMalformed is wrapped when a file is not well-formed metadata of its role.
	ErrMalformed = errors.New("not well-formed metadata")
	// ErrDowngrade is wrapped when a release is older than the installed one, which [Options] can
	// permit.
	ErrDowngrade = errors.New("the release is older than the installed one")
	// ErrWithdrawn is wrapped when a release is older than an installed release permits.
	ErrWithdrawn = errors.New("the release was withdrawn")
	// ErrUnknown is wrapped when the signed metadata has no such channel or version.
	ErrUnknown = errors.New("not in the signed metadata")
	// ErrNoRoot is wrapped when nobody has told a target which publisher to trust.
	ErrNoRoot = errors.New("no trusted root")
	// ErrOtherRoot is wrapped when a target is told to trust another publisher than the one that
	// its state folder trusts.
	ErrOtherRoot = errors.New("the state folder trusts another publisher")
)

// Why a publisher cannot sign.
var (
	// ErrKeys is wrapped when too few of a role's private keys are at hand.
	ErrKeys = errors.New("too few private keys")
	// ErrPassphrase is wrapped when no passphrase opens a private key.
	ErrPassphrase = errors.New("wrong passphrase")
	// ErrInitialized is wrapped when [Init] finds a root already.
	ErrInitialized = errors.New("the mirror has keys already")
	// ErrClock is wrapped when this machine's clock contradicts what was signed last.
	ErrClock = errors.New("this machine's clock is in doubt")
	// ErrSigned is wrapped when a version was signed with another release file.
	ErrSigned = errors.New("the version was signed with other bytes")
)
