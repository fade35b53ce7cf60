// Package sysroot finds the files of a machine whose root folder is a folder here, such as one that
// is being installed. Its symbolic links mean what they mean to that machine: one to /efi leads to
// /efi below the root.
package sysroot

import (
	"fmt"
	"path/filepath"

	securejoin "github.com/cyphar/filepath-securejoin"
)

// Join is where the machine's path lies here, with all symbolic links followed below root; nothing
// leads out of it. What does not exist is taken as it is written. A path that goes round in links
// is an error.
//
// The machine's files must not change meanwhile: somebody who may write to them could exchange a
// folder for a link.
func Join(root, path string) (string, error) {
	full, err := securejoin.SecureJoin(filepath.Clean(root), path)
	if err != nil {
		return "", fmt.Errorf("below %s: %w", root, err)
	}
	return full, nil
}
