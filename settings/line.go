package settings

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"deltaup/chunkstore"
	"deltaup/settings/overlay"
)

// Bounds of what an entry says, as Linux has them.
const (
	maxPath  = 4096
	maxName  = 255
	maxDepth = overlay.MaxDepth + 8 // names in a path: the levels of an upper folder, and its place
	maxXattr = 64 << 10             // bytes of all attributes of an entry
)

// append writes what the entry is, as it stands in a generation.
func (e *Entry) append(to []byte) []byte {
	to = append(to, e.Kind...)
	switch e.Kind {
	case File:
		to = fmt.Appendf(to, " %04o %d %d %d %s", e.Mode, e.UID, e.GID, e.Size, e.Content)
	case Folder:
		to = fmt.Appendf(to, " %04o %d %d", e.Mode, e.UID, e.GID)
	case Link:
		to = fmt.Appendf(to, " %d %d ", e.UID, e.GID)
		to = strconv.AppendQuoteToASCII(to, e.Target)
	}
	for _, x := range e.Xattrs {
		to = append(to, ' ')
		to = strconv.AppendQuoteToASCII(to, x.Name)
		to = append(to, ' ')
		to = strconv.AppendQuoteToASCII(to, x.Value)
	}
	return to
}

// validPath refuses what is not an absolute, clean path of something below the root.
func validPath(p string) error {
	if len(p) < 2 || len(p) > maxPath || p[0] != '/' || path.Clean(p) != p || strings.IndexByte(p, 0) >= 0 {
		return fmt.Errorf("%.100q is no clean absolute path", p)
	}
	if strings.Count(p, "/") > maxDepth {
		return fmt.Errorf("%.100q has more than %d levels", p, maxDepth)
	}
	for name := range strings.SplitSeq(p[1:], "/") {
		if len(name) > maxName {
			return fmt.Errorf("a name in %.100q is too long", p)
		}
	}
	return nil
}

// validXattr tells whether an attribute is one that is kept.
func validXattr(name string) bool {
	switch name {
	case "security.capability", "system.posix_acl_access", "system.posix_acl_default":
		return true
	}
	return strings.HasPrefix(name, "user.") && len(name) > len("user.") && len(name) <= maxName &&
		strings.IndexByte(name, 0) < 0
}

// line is what is left of a line that is being parsed. After an error it gives nothing more.
type line struct {
	rest string
	err  error
}

func (l *line) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
	}
	l.rest = ""
}

// word is what stands before the next space.
func (l *line) word() string {
	word, rest, _ := strings.Cut(l.rest, " ")
	l.rest = rest
	return word
}

// quoted is a string in double quotes.
func (l *line) quoted() string {
	prefix, err := strconv.QuotedPrefix(l.rest)
	if err != nil || prefix[0] != '"' {
		l.fail("a string in quotes is missing")
		return ""
	}
	s, err := strconv.Unquote(prefix)
	if err != nil {
		l.fail("a string in quotes is wrong")
		return ""
	}
	l.rest = strings.TrimPrefix(l.rest[len(prefix):], " ")
	return s
}

func (l *line) number(base int, max uint64) uint64 {
	word := l.word()
	n, err := strconv.ParseUint(word, base, 63)
	if err != nil || n > max {
		l.fail("%.40q is no number up to %d", word, max)
	}
	return n
}

// id is a hash; "-" is the zero one.
func (l *line) id() (id chunkstore.ID) {
	word := l.word()
	if word == "-" {
		return id
	}
	id, err := chunkstore.ParseID(word)
	if err != nil {
		l.fail("%.80q is no hash", word)
	}
	return id
}

func appendID(to []byte, id chunkstore.ID) []byte {
	if id.IsZero() {
		return append(to, '-')
	}
	return append(to, id.String()...)
}

// entry parses what append writes, up to the end of the line.
func (l *line) entry(path string) Entry {
	e := Entry{Path: path, Kind: Kind(l.word())}
	const maxID = 1<<32 - 1
	mode := func() { e.Mode = uint32(l.number(8, 0o7777)) }
	owner := func() { e.UID, e.GID = uint32(l.number(10, maxID)), uint32(l.number(10, maxID)) }
	switch e.Kind {
	case File:
		mode()
		owner()
		e.Size = int64(l.number(10, 1<<62))
		e.Content = l.id()
	case Folder:
		mode()
		owner()
	case Link:
		owner()
		if e.Target = l.quoted(); e.Target == "" || len(e.Target) >= maxPath || strings.IndexByte(e.Target, 0) >= 0 {
			l.fail("the target of a link is wrong")
		}
	case Gone:
	default:
		l.fail("%.40q is no kind of entry", e.Kind)
	}
	if e.Kind == File || e.Kind == Folder {
		l.xattrs(&e)
	}
	if l.rest != "" {
		l.fail("more follows: %.40q", l.rest)
	}
	return e
}

func (l *line) xattrs(e *Entry) {
	size := 0
	for l.rest != "" {
		x := Xattr{Name: l.quoted(), Value: l.quoted()}
		if size += len(x.Name) + len(x.Value); size > maxXattr || !validXattr(x.Name) {
			l.fail("the attribute %.40q is not kept", x.Name)
		}
		e.Xattrs = append(e.Xattrs, x)
	}
	if !slices.IsSortedFunc(e.Xattrs, compareXattrs) {
		l.fail("the attributes are not sorted")
	}
}

func compareXattrs(a, b Xattr) int { return strings.Compare(a.Name, b.Name) }
