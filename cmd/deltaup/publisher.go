//go:build !target

package main

import (
	"errors"

	"deltaup/internal/command"
	"deltaup/mirror/publish"
	"deltaup/mkimage/adopt"
	"deltaup/mkimage/initrd"
	"deltaup/mkimage/layers"
	"deltaup/mkimage/layers/alpine"
	"deltaup/mkimage/layers/apk"
	"deltaup/mkimage/layers/apt"
	"deltaup/mkimage/layers/busybox"
	"deltaup/mkimage/layers/catalog"
	"deltaup/mkimage/layers/deb"
	"deltaup/mkimage/layers/gschemas"
	"deltaup/mkimage/layers/hwdb"
	"deltaup/mkimage/layers/ldcache"
	"deltaup/mkimage/layers/mime"
	"deltaup/mkimage/layers/mimeinfo"
	"deltaup/mkimage/layers/oci"
	"deltaup/mkimage/layers/sbom"
	"deltaup/mkimage/modules"
	"deltaup/mkimage/rootfs"
)

// publisherCommands are those that only publishers and operators have, in the order of an image's
// journey. The build for targets (-tags target) goes without them and without what they alone need.
func publisherCommands(env *Env) []*command.Command {
	return []*command.Command{
		newLayersCommand(env),
		newAdoptCommand(env),
		newMkimageCommand(env),
		newRecompressCommand(env),
		newKeysCommand(env),
		newPublishCommand(env),
		newRefreshCommand(env),
		newServeCommand(env),
		newCheckCommand(env),
		newDiffCommand(env),
		newInspectCommand(env),
	}
}

// traceReaders are the commands for traces that were recorded: an image is laid out elsewhere than
// where it boots.
func traceReaders(env *Env) []*command.Command {
	return []*command.Command{newTraceMergeCommand(env), newTraceShowCommand(env)}
}

// errKind is what inspect says of a file that is none of deltaup's.
var errKind = errors.New("neither an image nor a recipe, pack or index")

// publisherOutcomes are of errors that only the commands above make.
var publisherOutcomes = []outcome{
	{
		is:    publish.ErrSigned,
		cause: "no-keys",
		hint:  "--keys DIR signs it; --unsigned is for those who read the mirror unverified",
	},
	{is: publish.ErrExists, cause: "version-exists", hint: "publish it under a new version"},
	{is: publish.ErrMismatch, cause: "mismatched-input"},
	{is: adopt.ErrSettings, cause: "unsupported-input"},
	{is: layers.ErrDefinition, cause: "wrong-definition"},
	{is: layers.ErrConflict, cause: "layers-disagree"},
	{is: layers.ErrHooks, cause: "scripts-left", hint: "deltaup layers hooks lists them"},
	{is: layers.ErrForbidden, cause: "forbidden-in-image"},
	{is: errNoLock, cause: "no-file", hint: "deltaup layers lock makes it"},
	{is: layers.ErrLock, cause: "wrong-lock", hint: "deltaup layers lock --update makes it anew"},
	{is: layers.ErrUnreachable, cause: "unreachable", hint: "nothing fetched is lost"},
	{is: layers.ErrGone, cause: "not-on-mirror", hint: "deltaup layers lock --update takes what there is now"},
	{is: apt.ErrApt, cause: "apt"},
	{is: alpine.ErrApk, cause: "apk"},
	{is: oci.ErrReference, cause: "wrong-definition"},
	{is: oci.ErrUnlocked, cause: "wrong-lock", hint: "deltaup layers lock --update makes it anew"},
	{is: oci.ErrDigest, cause: "damaged-input"},
	{is: oci.ErrPlatform, cause: "unsupported-input"},
	{is: oci.ErrMalformed, cause: "damaged-input"},
	{is: apk.ErrMalformed, cause: "damaged-input"},
	{is: busybox.ErrMalformed, cause: "damaged-input"},
	{is: busybox.ErrUnknown, cause: "unsupported-input"},
	{is: apk.ErrSignature, cause: "unsupported-input"},
	{is: apk.ErrListed, cause: "damaged-input"},
	{is: apk.ErrOwner, cause: "unsupported-input"},
	{is: deb.ErrMalformed, cause: "damaged-input"},
	{is: sbom.ErrUnknown, cause: "unsupported-input"},
	{is: catalog.ErrText, cause: "damaged-input"},
	{is: hwdb.ErrTooLarge, cause: "damaged-input"},
	{is: ldcache.ErrConfig, cause: "damaged-input"},
	{is: gschemas.ErrText, cause: "damaged-input"},
	{is: mime.ErrText, cause: "unsupported-input"},
	{is: mimeinfo.ErrTooLarge, cause: "damaged-input"},
	{is: rootfs.ErrOffset, cause: "usage"},
	{is: rootfs.ErrKind, cause: "unsupported-input"},
	{is: rootfs.ErrMalformed, cause: "damaged-input"},
	{is: initrd.ErrUnsupported, cause: "unsupported-input"},
	{is: modules.ErrModule, cause: "damaged-input"},
	{is: rootfs.ErrTooLarge, cause: "too-large", hint: "--exclude leaves things out"},
	{is: rootfs.ErrContainer, cause: "container",
		hint: "skopeo and umoci, undocker, or docker create and docker export give the root file system; --container-files takes the files as they are"},
	{is: errKind, cause: "unsupported-input"},
}
