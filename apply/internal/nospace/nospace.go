// Package nospace marks the errors of a full disk, so that whoever carries an update out tells them
// from others whichever package met them.
package nospace

import (
	"errors"
	"fmt"
	"syscall"
)

// Err is wrapped when a slot or a file system is too small.
var Err = errors.New("not enough space")

// Mark wraps Err around an error that means a full disk. It passes others on, and nil.
func Mark(err error) error {
	if (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && !errors.Is(err, Err) {
		return fmt.Errorf("%w: %w", Err, err)
	}
	return err
}
