// Package list reads the list of settings: which files of a machine outlive its image, and how.
//
// The list comes from the image alone, so that a user of the machine cannot extend it. Read finds
// its files: /usr/lib/deltaup/settings.d/*.conf, whose format is doc/settings.md, and
// /opt/.filetool.lst with /opt/.xfiletool.lst, as TinyCore's filetool.sh reads them. Keep then
// tells of a path whether it is a setting.
package list

import (
	"io/fs"
)

// Merge says what becomes of a setting that both the machine and the new image have changed.
type Merge string

// The ways to merge. The first is that of a rule without merge=.
const (
	Local  Merge = "local"  // the machine's version stays
	Image  Merge = "image"  // the new image's version counts
	Lines  Merge = "lines"  // both changes are put together line by line
	Users  Merge = "users"  // accounts are put together by their names
	Refuse Merge = "refuse" // the image is not activated
)

// Options are what a rule says of the settings that it covers.
type Options struct {
	Merge  Merge
	Newest bool // a rollback leaves it as it is
	Secret bool // it is left out of exports
	Force  bool // it is kept although it belongs to the image, as /etc/fstab does
}

// List is the rules of an image.
type List struct{}

// Warning is a rule, or a part of one, that does not count.
type Warning struct {
	File string // path in the image
	Line int    // from 1
	Text string // why
}

// Read reads the list of the image whose root is image. An image without any of the files has an
// empty list. Rules that cannot be kept to (a guarded path, a wildcard in a data folder) do not
// count and are told by Warnings: a machine boots with a list that is partly wrong.
func Read(image fs.FS) (*List, error) { return nil, nil }

// Parse reads a list from its Text.
func Parse(text []byte) (*List, error) { return nil, nil }

// Text is the whole list in the form of settings.d, one rule a line, whatever files it came from.
// Two lists with the same Text keep the same paths. Generations store it.
func (l *List) Text() []byte { return nil }

// Warnings are the rules that do not count, in the order of the files.
func (l *List) Warnings() []Warning { return nil }

// Empty tells whether nothing is kept, and no folder is one of data.
func (l *List) Empty() bool { return true }

// Keep tells whether the path is a setting, with the options of the last rule that covers it. The
// path is absolute and clean. A path below a data folder is no setting.
func (l *List) Keep(path string) (Options, bool) { return Options{}, false }

// Below tells whether some path below the folder may be a setting: whether it is worth entering.
func (l *List) Below(folder string) bool { return false }

// Places are the folders whose changes are recorded, sorted: /etc, and the top folder of each other
// path that is kept. None lies in another.
func (l *List) Places() []string { return nil }

// Data are the folders of data, sorted, clean and absolute. None lies in another.
func (l *List) Data() []string { return nil }
