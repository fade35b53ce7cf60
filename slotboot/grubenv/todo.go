package grubenv

import "errors"

var errNotBuilt = errors.New("not built yet")
