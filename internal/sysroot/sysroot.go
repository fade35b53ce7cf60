// Package sysroot finds the files of a machine whose root is a folder of this machine, such as one
// that is being installed. Symbolic links lead where they lead on that machine: a link to /efi
// leads to /efi below the root.
package sysroot

import (
	"fmt"
	"path/filepath"

	securejoin "github.com/cyphar/filepath-securejoin"
)

// Join gives the place below root of a path of the machine. It follows all symbolic links, and none
// leads out of root. It takes parts that do not exist as they are written. A loop of links is an
// error.
//
// The machine's files must not change meanwhile, since whoever may write to them could replace a
// folder by a link.
func Join(root, path string) (string, error) {
	full, err := securejoin.SecureJoin(filepath.Clean(root), path)
	if err != nil {
		return "", fmt.Errorf("below %s: %w", root, err)
	}
	return full, nil
}
