package patchset

import "errors"

// ErrFrom says that a set does not lead from the given recipe.
var ErrFrom = errors.New("the patch set leads from another release")

// ErrPending says that a set needs chunk lists that a set before it left out.
var ErrPending = errors.New(
	"the patch set needs the whole recipe of the release that it leads from",
)
