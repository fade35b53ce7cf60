package mounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// options are what the kernel is told about each overlay. redirect_dir came with Linux 4.10, index
// with 4.13, xino with 4.17, metacopy with 4.19; the last are left out first. All of them are off,
// since with each the upper folder would have more in it than files, whiteouts and opaque folders.
var options = []string{"redirect_dir=off", "index=off", "xino=off", "metacopy=off"}

// Overlay mounts an overlay on a place of the new root, a path as /etc: what is written there goes
// to the open folder upper, and the image's folder shows through; where the image has none, nothing
// does. work is an empty open folder beside upper.
func (m *Mounter) Overlay(place string, upper, work *os.File) error {
	on, err := m.place(place)
	if err != nil {
		return err
	}
	defer on.Close() // only opened
	lower, err := inRoot(m.image, place)
	if errors.Is(err, unix.ENOENT) {
		lower, err = m.emptyFolder()
	}
	if err != nil {
		return err
	}
	defer lower.Close() // only opened
	return overlay(on, lower, upper, work)
}

func overlay(on, lower, upper, work *os.File) error {
	dirs := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", self(lower), self(upper), self(work))
	for n := len(options); ; n-- {
		data := strings.Join(append([]string{dirs}, options[:n]...), ",")
		err := unix.Mount("deltaup-settings", self(on), "overlay", 0, data)
		// A kernel that does not know an option gives the same error as one that cannot use upper.
		if !errors.Is(err, unix.EINVAL) || n == 0 {
			return os.NewSyscallError("mount of an overlay", err)
		}
	}
}

// emptyFolder opens a folder with nothing in it.
func (m *Mounter) emptyFolder() (*os.File, error) {
	name := filepath.Join(m.run, "empty")
	if err := os.Mkdir(name, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	return os.Open(name)
}

// bind shows the open folder from on the folder on.
func bind(on, from *os.File) error {
	return os.NewSyscallError("bind mount", unix.Mount(self(from), self(on), "", unix.MS_BIND, ""))
}
