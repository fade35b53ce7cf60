package overlay

import (
	"context"
	"errors"
	"os"
)

var errTodo = errors.New("not written yet")

// Item is one name in an upper folder. Names that are there only to lead to others are among them.
type Item struct {
	Path string // below the upper folder, slash-separated, as "ssh/sshd_config"; "" for itself
	// Whiteout removes what the image has at the path, and below it.
	Whiteout bool
	// Opaque is of a folder: it hides what the image has below it.
	Opaque bool
	File   *os.File    // open: a regular file or a folder; nil for the rest. Closed after the call.
	Info   os.FileInfo // of the name itself
	Target string      // of a symbolic link
}

// Bounds of what Read visits.
const (
	MaxNames = 100_000
	MaxDepth = 64
)

// ErrBounds is wrapped when an upper folder has more names or levels than Read visits.
var ErrBounds = errors.New("more than an upper folder may have")

// Read calls fn for each name in an upper folder that enter does not hold off: a folder before its
// content, the names of a folder sorted by their bytes. It opens nothing but regular files and
// folders, and follows no link.
func Read(ctx context.Context, upper *os.File, enter func(folder string) bool, fn func(Item) error) error {
	return errTodo
}
