package patchset

import "errors"

// ErrFrom is returned for a recipe that the set does not lead from.
var ErrFrom = errors.New("the patch set leads from another release")

// ErrPending is wrapped when a set needs chunk lists that the sets before it left out.
var ErrPending = errors.New(
	"the patch set needs the whole recipe of the release that it leads from",
)
