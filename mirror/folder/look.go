package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"deltaup/internal/durable"
	"deltaup/internal/plainfile"
	"deltaup/mirror"
)

// signedName are the names in metadata/ that a mirror has from its first signature on; versionName
// are the others.
var (
	signedName  = regexp.MustCompile(`^(timestamp|[0-9]{1,19}\.root)\.json$`)
	versionName = regexp.MustCompile(`^[0-9]{1,19}\.((targets|snapshot)\.json|.+\.bundle)$`)
)

// Look tells what lies in dir. One file that only a mirror has makes a folder one: a mirror that
// was copied in part or that a publisher was cut off from is a mirror, and an administrator may
// have put files of his own beside it. Without such a file a folder is empty only when nothing else
// is there. ErrNoMirror is wrapped for all else: a file, a link that leads nowhere, a folder of
// other things.
func Look(dir string) (mirror.State, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(dir); err == nil {
			return 0, fmt.Errorf("%s is %w: it is a link that leads nowhere", dir,
				mirror.ErrNoMirror)
		}
		return mirror.Missing, nil
	}
	if err != nil {
		return 0, err
	}
	if !info.IsDir() {
		return 0, fmt.Errorf("%s is no folder: %w", dir, mirror.ErrNoMirror)
	}
	l := looker{dir: dir}
	signed, err := l.any(mirror.MetadataDir,
		func(name string) bool { return signedName.MatchString(path.Base(name)) })
	if err != nil {
		return 0, err
	}
	if signed {
		return mirror.Signed, nil
	}
	for _, kind := range mirror.Dirs() {
		found, err := l.any(kind, l.ours)
		if err != nil {
			return 0, err
		}
		if found {
			return mirror.Unsigned, nil
		}
	}
	return mirror.Empty, l.strange()
}

// looker looks into one folder.
type looker struct {
	dir   string
	other string // the first file seen that is none of a mirror's
}

// any tells whether a file of a kind is as wanted. Names that it tries are relative to the mirror.
func (l *looker) any(kind string, wanted func(name string) bool) (bool, error) {
	entries, err := os.ReadDir(filepath.Join(l.dir, kind))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil // a file in its place is found by strange
	}
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		names := []string{kind + "/" + e.Name()}
		if len(e.Name()) == 2 { // one of the folders by hash
			below, err := os.ReadDir(filepath.Join(l.dir, kind, e.Name()))
			if err != nil && !errors.Is(err, syscall.ENOTDIR) {
				return false, err
			}
			if err == nil {
				names = names[:0]
			}
			for _, b := range below {
				names = append(names, kind+"/"+e.Name()+"/"+b.Name())
			}
		}
		if slices.ContainsFunc(names, wanted) {
			return true, nil
		}
		if l.other == "" && len(names) > 0 {
			l.other = names[0]
		}
	}
	return false, nil
}

// ours tells whether a file is one that only a mirror has.
func (l *looker) ours(name string) bool {
	kind, file, _ := strings.Cut(name, "/")
	switch kind {
	case mirror.MetadataDir:
		return versionName.MatchString(file)
	case mirror.ChannelsDir, mirror.ReleasesDir:
		stem, ok := strings.CutSuffix(file, ".json")
		return ok && mirror.ValidName(stem) && l.hasFormat(name)
	}
	_, _, ok := mirror.HashName(name)
	return ok
}

// hasFormat tells whether a file is like a release or a pointer; whether it is damaged is a check's
// concern.
func (l *looker) hasFormat(name string) bool {
	file := filepath.Join(l.dir, filepath.FromSlash(name))
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return false
	}
	b, err := plainfile.Read(file, mirror.MaxReleaseSize)
	return err == nil && mirror.HasFormat(b)
}

// leftovers tells whether tmp/ is a publisher's.
func (l *looker) leftovers() bool {
	entries, err := os.ReadDir(filepath.Join(l.dir, mirror.TmpDir))
	return err == nil &&
		!slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !durable.IsTemp(e.Name()) })
}

// strange reports, with ErrNoMirror, what a folder without a file of a mirror has instead.
func (l *looker) strange() error {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case name == mirror.LockName, name == mirror.TmpDir && l.leftovers():
		case name == "lost+found": // of a file system of its own
		case slices.Contains(mirror.Dirs(), name) && !e.Type().IsRegular():
		default:
			l.other = name
		}
	}
	if l.other == "" {
		return nil
	}
	return fmt.Errorf("%s is %w: it holds other things, such as %q", l.dir, mirror.ErrNoMirror,
		l.other)
}
