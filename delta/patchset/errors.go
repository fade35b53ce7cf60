package patchset

import "errors"

// ErrFrom is returned for a recipe that the set does not lead from.
var ErrFrom = errors.New("the patch set leads from another release")
