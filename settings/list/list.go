// Package list reads the list of settings: which files of a machine outlive its image, and how.
//
// The list comes from the image alone, so that a user of the machine cannot extend it. Read finds
// its files: /usr/lib/deltaup/settings.d/*.conf, whose format is doc/settings.md, and
// /opt/.filetool.lst with /opt/.xfiletool.lst, as TinyCore's filetool.sh reads them. Keep then
// tells of a path whether it is a setting.
package list

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
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
type List struct {
	rules    []rule // all that count, in their order
	keeps    []*rule
	excepts  []*rule // those of forget, too
	forgets  []*rule
	data     []string
	places   []string
	warnings []Warning
}

// Warning is a rule, or a part of one, that does not count.
type Warning struct {
	File         string // path in the image; empty after Parse
	Line, Column int    // from 1, the column in bytes; 0: the whole file
	Text         string // why
}

// String is the warning as one line, FILE:LINE:COLUMN: TEXT.
func (w Warning) String() string {
	if w.Line == 0 {
		return w.File + ": " + w.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", w.File, w.Line, w.Column, w.Text)
}

// The verbs of rules.
const (
	keep   = "keep"
	except = "except"
	forget = "forget"
	data   = "data"
)

type rule struct {
	verb string
	glob
	Options
	at Warning // where it stands
}

// rulesFolder is where images have the files of rules, NAME.conf.
const rulesFolder = "/usr/lib/deltaup/settings.d"

// Bounds of what is read; what is beyond them does not count.
const (
	maxFile  = 256 << 10 // bytes of a file
	maxFiles = 200
	maxRules = 2000
	maxText  = 6 << 20 // bytes of a Text: all rules with the longest patterns, quoted

	maxWarnings = 1000
)

// Read reads the list of the image whose root is image. An image without any of the files has an
// empty list. Rules that cannot be kept to (a guarded path, a wildcard in a data folder) do not
// count and are told by Warnings: a machine boots with a list that is partly wrong. The error is
// that of the image's file system.
//
// The lists of filetool come first, so that rules of settings.d can say more of what they keep.
func Read(image fs.FS) (*List, error) {
	p := parser{}
	if err := p.readFiletool(image); err != nil {
		return nil, err
	}
	// ReadDir sorts by name
	files, err := fs.ReadDir(image, rulesFolder[1:])
	if err != nil && !notThere(err) {
		return nil, fmt.Errorf("list of settings: %w", err)
	}
	read := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".conf") || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		name := path.Join(rulesFolder, f.Name())
		if read++; read > maxFiles {
			p.warn(Warning{File: name}, "not read: there are more than %d files", maxFiles)
			continue
		}
		text, err := p.readFile(image, name)
		if err != nil {
			return nil, err
		}
		p.parse(name, string(text))
	}
	return p.list(), nil
}

// Parse reads a list from its Text. Rules that do not count are told by Warnings, as Read does.
func Parse(text []byte) (*List, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("list of settings has %d bytes, more than %d", len(text), maxText)
	}
	p := parser{}
	p.parse("", string(text))
	return p.list(), nil
}

// Text is the whole list in the form of settings.d, one rule a line, whatever files it came from.
// Two lists with the same Text keep the same paths. Generations store it.
func (l *List) Text() []byte {
	var b strings.Builder
	for i := range l.rules {
		b.WriteString(l.rules[i].line())
	}
	return []byte(b.String())
}

// Warnings are the rules that do not count, in the order of the files.
func (l *List) Warnings() []Warning { return l.warnings }

// Keep tells whether the path is a setting, with the options of the last rule that covers it. The
// path is absolute and clean. A path below a data folder is no setting.
func (l *List) Keep(path string) (Options, bool) {
	var options Options
	found, needForce := false, guarded(path)
	for i := len(l.keeps) - 1; i >= 0 && !found; i-- {
		if r := l.keeps[i]; (r.Force || !needForce) && r.match(path) {
			options, found = r.Options, true
		}
	}
	if !found || never(path) || withinAny(l.data, path) {
		return Options{}, false
	}
	for _, r := range l.excepts {
		if r.match(path) {
			return Options{}, false
		}
	}
	return options, true
}

// Forget tells whether nobody misses the path when it is gone: it is no setting, and nothing needs
// to be said of changes to it.
func (l *List) Forget(path string) bool {
	return slices.ContainsFunc(l.forgets, func(r *rule) bool { return r.match(path) })
}

// Below tells whether some path below the folder may be a setting: whether it is worth entering.
func (l *List) Below(folder string) bool {
	if never(folder) && !within(folder, "/usr/local") || withinAny(l.data, folder) {
		return false
	}
	for _, r := range l.excepts {
		// what covers the folder and all below it
		if r.tree && r.match(folder) {
			return false
		}
	}
	inside := guardedFolder(folder)
	return slices.ContainsFunc(l.keeps, func(r *rule) bool {
		return (r.Force || !inside) && r.below(folder)
	})
}

// Places are the folders whose changes are recorded, sorted: /etc, /opt, /root, /srv and
// /usr/local when something in them is kept, and of every other rule the deepest folder that it
// names without wildcards, such as /var/spool/cron. None lies in another.
func (l *List) Places() []string { return l.places }

// Data are the folders of data, sorted, clean and absolute. None lies in another.
func (l *List) Data() []string { return l.data }

// whole are the folders that are recorded whole, however little of them is kept: they are small,
// and programs rename files between their subfolders.
var whole = []string{"/etc", "/opt", "/root", "/srv", "/usr/local"}

func place(base string) string {
	for _, w := range whole {
		if within(w, base) {
			return w
		}
	}
	return base
}

// within tells whether the path is the folder or lies in it.
func within(folder, path string) bool {
	return folder == "/" || strings.HasPrefix(path, folder) && (len(path) == len(folder) || path[len(folder)] == '/')
}

func withinAny(folders []string, path string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return within(f, path) })
}

// outermost sorts folders and leaves out those that lie in others.
func outermost(folders []string) []string {
	slices.Sort(folders)
	var out []string
	for _, f := range folders {
		// a folder need not follow the one that it lies in: /a-b comes between /a and /a/b
		if !withinAny(out, f) {
			out = append(out, f)
		}
	}
	return out
}
