package list

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// TinyCore's filetool.sh saves what /opt/.filetool.lst names and /opt/.xfiletool.lst does not:
// busybox tar -C / -T /opt/.filetool.lst -X /opt/.xfiletool.lst. Of tar's rules this is what counts
// here (usr/bin/filetool.sh in tinycorelinux/Core-scripts, archival/tar.c in busybox):
//
//   - A line is a name as it stands, with no comments and no wildcards in -T. One slash at its end
//     goes, and so does what leads to the top at its beginning. Empty lines are nothing.
//   - A folder means all below it.
//   - A line of -X is a pattern for fnmatch, of a whole name or of what follows any slash in it.
//     No wildcard matches a slash. What it matches is left out with all below it.
//   - A name in the archive begins with no slash, so a pattern that does matches nothing.
const (
	filetool  = "/opt/.filetool.lst"
	xfiletool = "/opt/.xfiletool.lst"
)

// known are options for files that a list of TinyCore names by itself or with a whole folder.
const known = `keep /etc/passwd merge=users
keep /etc/group merge=users
keep /etc/shadow merge=users newest secret
keep /etc/gshadow merge=users newest secret
keep /etc/machine-id newest
keep /etc/ssh/ssh_host_* newest secret
keep /etc/dropbear/ newest secret
keep /usr/local/etc/ssh/ssh_host_* newest secret
keep /usr/local/etc/dropbear/ newest secret
keep /etc/wpa_supplicant.conf secret
`

// readFiletool adds the rules of both lists.
func (p *parser) readFiletool(image fs.FS) error {
	names, err := p.readFile(image, filetool)
	if err != nil {
		return err
	}
	patterns, err := p.readFile(image, xfiletool)
	if err != nil {
		return err
	}
	kind := func(name string) fs.FileMode {
		info, err := fs.Lstat(image, name[1:])
		if err != nil {
			return fs.ModeIrregular
		}
		return info.Mode().Type()
	}
	p.filetoolNames(string(names), kind)
	// without names nothing is saved, whatever the patterns are
	if len(p.rules) > 0 {
		p.filetoolPatterns(string(patterns))
	}
	return nil
}

// tarLines calls do for each line that counts.
func tarLines(file, text string, do func(at Warning, line string)) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		if len(line) > 1 {
			line = strings.TrimSuffix(line, "/")
		}
		if line != "" {
			do(Warning{File: file, Line: number, Column: 1}, line)
		}
	}
}

// filetoolNames reads /opt/.filetool.lst. Kind gives the type of a path in the image,
// ModeIrregular when there is none.
func (p *parser) filetoolNames(text string, kind func(name string) fs.FileMode) {
	hints := parser{}
	hints.parse("", known)
	var late []rule // for what lies in folders that are kept
	tarLines(filetool, text, func(at Warning, line string) {
		// tar goes where .. leads, and takes all that follows the last one as the name
		name := path.Clean("/" + line)
		if strings.Contains("/"+line+"/", "/../") {
			p.warn(at, "%s has .. in it", shown(line))
			return
		}
		if name == "/" {
			p.warn(at, "%s covers everything: name the folders", shown(line))
			return
		}
		if k := kind(name); homes(name) && (k == fs.ModeDir || k == fs.ModeIrregular) {
			p.addPattern(at, data, escape(name)+"/", Options{Merge: Local})
			return
		}
		options := Options{Merge: Local}
		for _, h := range hints.rules {
			if h.match(name) {
				options = h.Options
			} else if within(name, h.base) {
				late = append(late, h)
			}
		}
		// A name that is a file, or that the image has not, is recorded with the folder that it is in.
		if place(name) == name && kind(name) != fs.ModeDir && !p.addPattern(at, keep, escape(name), options) {
			return
		}
		p.addPattern(at, keep, escape(name)+"/", options)
	})
	for _, h := range late {
		p.add(h)
	}
}

// homes tells whether the path is /home, somebody's folder in it, or /root. These are data: their
// documents are not settings, and must not go back with an image.
func homes(name string) bool {
	return name == "/home" || name == "/root" || path.Dir(name) == "/home"
}

func (p *parser) addPattern(at Warning, verb, pattern string, options Options) bool {
	g, err := compile(pattern)
	if err != nil {
		p.warn(at, "%v", err)
		return false
	}
	return p.add(rule{verb: verb, glob: g, Options: options, at: at})
}

// escape is the pattern of one name.
func escape(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if strings.IndexByte(`*?[\`, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// filetoolPatterns reads /opt/.xfiletool.lst.
func (p *parser) filetoolPatterns(text string) {
	tarLines(xfiletool, text, func(at Warning, line string) {
		if len(line) > maxPattern {
			p.warn(at, "the pattern is longer than %d bytes", maxPattern)
			return
		}
		pattern, err := fromFnmatch(line)
		if err != nil {
			p.warn(at, "%s leaves out nothing: %v", shown(line), err)
			return
		}
		p.addPattern(at, except, "/**/"+pattern+"/", Options{Merge: Local})
	})
}

// fromFnmatch turns a pattern of fnmatch with FNM_PATHNAME into one of ours. It fails for one that
// matches no name.
func fromFnmatch(pattern string) (string, error) {
	if pattern[0] == '/' {
		return "", fmt.Errorf("it begins with /")
	}
	var b strings.Builder
	for rest := pattern; rest != ""; {
		n := 1
		switch rest[0] {
		case '*':
			// more stars are as one
			n = len(rest) - len(strings.TrimLeft(rest, "*"))
			b.WriteByte('*')
		case '[':
			var set string
			var err error
			if n, set, err = bracket(rest); err != nil {
				return "", err
			}
			if n == 0 {
				// with no end it stands for itself
				n, set = 1, `\[`
			}
			b.WriteString(set)
		default:
			var err error
			if n, err = element(rest); err != nil {
				return "", err
			}
			b.WriteString(rest[:n])
		}
		rest = rest[n:]
	}
	return b.String(), nil
}

// classes are POSIX's sets of characters, as they are without a locale.
var classes = map[string]string{
	"alnum": "A-Za-z0-9", "alpha": "A-Za-z", "blank": " \t", "cntrl": "\x01-\x1f\x7f", "digit": "0-9",
	"graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-\\/:-@\\[-`{-~", "space": " \t-\r",
	"upper": "A-Z", "xdigit": "0-9A-Fa-f",
}

// bracket reads a set at the beginning of what fnmatch matches with: its length, and what it is
// here. The length is 0 when it has no end. A set may have a slash in it, which it never matches.
func bracket(pattern string) (n int, ours string, err error) {
	var b strings.Builder
	b.WriteByte('[')
	i := 1
	if i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^') {
		b.WriteByte('!')
		i++
	}
	afterDash := false
	for first := true; i < len(pattern); first = false {
		rest := pattern[i:]
		take := 1
		switch {
		case rest[0] == '/':
			if strings.HasPrefix(rest, "/-") || afterDash {
				return 0, "", fmt.Errorf("a set has a range with a slash")
			}
			i++
			continue
		case rest[0] == ']' && !first:
			b.WriteByte(']')
			_, _, err := set(b.String(), 0)
			return i + 1, b.String(), err
		case strings.HasPrefix(rest, "[="), strings.HasPrefix(rest, "[."):
			return 0, "", fmt.Errorf("%s is not known here", rest[:2])
		case strings.HasPrefix(rest, "[:"):
			name, _, closed := strings.Cut(rest[2:], ":]")
			if class, ok := classes[name]; closed && ok {
				b.WriteString(class)
				i += len(name) + 4
				continue
			}
		case rest[0] == '\\' && len(rest) > 1:
			take = 2
		}
		b.WriteString(rest[:take])
		afterDash = rest[0] == '-'
		i += take
	}
	return 0, "", nil
}
