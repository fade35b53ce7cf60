// Package trust is the signed metadata of a mirror, after The Update Framework: what a publisher
// signs and what a target believes. A mirror in other hands can then keep silent, and nothing else.
//
// The publisher makes keys once with [Init]; a [Publisher] signs each release with [Publisher.Add]
// while package mirror publishes it, and [Publisher.Refresh] says again and again that nothing
// newer exists. Keys are replaced with [Publisher.Rotate] and [Publisher.Revoke].
//
// A target begins with [Refresh], which reads what is new since it last asked, and takes from the
// [Repository] the hash of the release that a channel or a version names. All else that an update
// needs is named by hash from there. What was trusted is kept in a folder that outlives images.
//
// Signatures, versions and expiry are judged by go-tuf; this package adds which files there are,
// the order in which they become durable, the clock's floor and the order of releases. Format:
// doc/trust.md; keys: doc/keys.md.
package trust

import "errors"

// What a target refuses. All but the last two say that the mirror, or the line to it, is not to be
// believed. Where a file of signed metadata is refused, a [Refusal] says of which role it is.
var (
	// ErrUnsigned is wrapped when a mirror has no signed metadata.
	ErrUnsigned = errors.New("the mirror is not signed")
	// ErrSignature is wrapped when none of the keys that a role has in the trusted root has signed
	// a file. Of a root, those of the root before it count.
	ErrSignature = errors.New("signed by none of the publisher's keys")
	// ErrThreshold is wrapped when some of them have, and fewer than have to.
	ErrThreshold = errors.New("signed by too few of the publisher's keys")
	// ErrRootKeys is wrapped when a root is not signed by as many as it demands of the keys that it
	// names itself.
	ErrRootKeys = errors.New("not signed by enough of the keys that it names itself")
	// ErrRollback is wrapped when a file is older than one that was trusted before.
	ErrRollback = errors.New("older than what was trusted before")
	// ErrExpired is wrapped when nobody has vouched for a file for too long.
	ErrExpired = errors.New("expired")
	// ErrMixed is wrapped when a file is another than the one that signed metadata names.
	ErrMixed = errors.New("not the file that the signed metadata names")
	// ErrMalformed is wrapped when a file is no metadata of its role.
	ErrMalformed = errors.New("not well-formed metadata")
	// ErrDowngrade is wrapped when a release is older than the one that was installed, which
	// options can permit.
	ErrDowngrade = errors.New("the release is older than the installed one")
	// ErrWithdrawn is wrapped when a release is older than a release that was installed permits.
	ErrWithdrawn = errors.New("the release was withdrawn")
	// ErrUnknown is wrapped when the signed metadata has no such channel or version.
	ErrUnknown = errors.New("not in the signed metadata")
	// ErrNoRoot is wrapped when a target was never told which publisher to trust.
	ErrNoRoot = errors.New("no trusted root")
	// ErrOtherRoot is wrapped when a target is told to trust another publisher than its state
	// folder does.
	ErrOtherRoot = errors.New("the state folder trusts another publisher")
)

// What stops a publisher.
var (
	// ErrKeys is wrapped when too few of a role's private keys are at hand.
	ErrKeys = errors.New("too few private keys")
	// ErrPassphrase is wrapped when no passphrase opens a private key.
	ErrPassphrase = errors.New("wrong passphrase")
	// ErrInitialized is wrapped when keys are to be made for a mirror that has some.
	ErrInitialized = errors.New("the mirror has keys already")
	// ErrClock is wrapped when the clock cannot be right, by what was signed last.
	ErrClock = errors.New("this machine's clock is in doubt")
	// ErrSigned is wrapped when a version was signed with another release file.
	ErrSigned = errors.New("the version was signed with other bytes")
)
