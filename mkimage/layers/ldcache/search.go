package ldcache

import (
	"fmt"
	"path"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/tree"
)

// library is one for the cache.
type library struct {
	soname string // the name that programs want
	path   string // where it is, as the configuration names the folder
	object object
	hwcaps string // name of its subfolder of glibc-hwcaps; "": none
	hwcap  uint64 // bits of its folder, of the old ldconfig
}

// stringsMax bounds the names of all libraries in bytes. A desktop's have 200 kB.
const stringsMax = 32 << 20

// candidate is the best library of a folder for one soname.
type candidate struct {
	name, soname string
	object       object
	isLink       bool
}

// search reads the libraries in a folder and decides which links and which places in the cache
// they have.
func (b *builder) search(f folder) error {
	var all []*candidate
	bySoname := map[string]*candidate{}
	for _, name := range b.root.Names(f.real) {
		c, err := b.candidate(f, name)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		known := bySoname[c.soname]
		if known == nil {
			bySoname[c.soname] = c
			all = append(all, c)
			continue
		}
		if !c.isLink && known.isLink || c.isLink == known.isLink && b.compareNames(known.name, c.name) < 0 {
			flags := known.object.flags
			if flags == flagElf && c.object.flags == flagLibc6 {
				flags = flagLibc6
			} else if flags == flagLibc6 && c.object.flags == flagElf {
				flags = flagElf
			}
			*known = *c
			known.object.flags = flags // else the first one's, be it right or wrong
		}
	}
	for i := len(all) - 1; i >= 0; i-- { // the last one found comes first
		c := all[i]
		lib := library{c.soname, f.path + "/" + c.soname, c.object, f.hwcaps, 0}
		if f.hwcaps != "" {
			lib.path = f.path + "/" + c.name
		} else {
			lib.hwcap = b.glibc.hwcap(f.path)
			if !c.isLink {
				b.link(f, c)
			}
		}
		if b.size += len(lib.soname) + len(lib.path); b.size > stringsMax {
			return fmt.Errorf("%w: the names of all libraries have more than %d MiB", ErrConfig, stringsMax>>20)
		}
		b.strings[lib.soname], b.strings[lib.path] = 0, 0
		b.libs = append(b.libs, lib)
	}
	return nil
}

// candidate looks at one name in a folder; nil: it is no library for the cache.
func (b *builder) candidate(f folder, name string) (*candidate, error) {
	at := path.Join(f.real, name)
	e := b.root.Lstat(at)
	if e == nil || e.Type != tree.Regular && e.Type != tree.Symlink && e.Type != tree.Directory {
		return nil, nil
	}
	processor := f.hwcaps == "" && b.glibc.searches(name)
	if !isLibraryName(name) && (e.Type == tree.Regular || f.hwcaps == "" && !processor) {
		return nil, nil
	}
	if b.isTemporary(name) {
		return nil, nil
	}
	to := b.root.Stat(at)
	switch {
	case to == nil:
		if strings.Contains(name, ".so.") {
			b.result.Stale = append(b.result.Stale, at)
			b.root.Remove(at)
		}
		return nil, nil
	case to.Type == tree.Directory && processor:
		_, err := b.addReal(folder{f.path + "/" + name, to.Path, ""})
		return nil, err
	case to.Type != tree.Regular:
		return nil, nil
	}
	o, err := b.readObject(to)
	if err != nil || o == nil {
		return nil, err
	}
	c := &candidate{name, o.soname, *o, e.Type == tree.Symlink}
	if !o.named {
		c.soname = name
	}
	if c.isLink {
		// the link that compilers want, and the link that programs want, are links; one with
		// another name counts as a library
		c.isLink = name == c.soname || strings.HasSuffix(name, ".so") && strings.HasPrefix(c.soname, name)
	}
	if c.isLink {
		c.soname = name
	}
	return c, nil
}

// isLibraryName tells whether a file has the name of a library or of the dynamic linker.
func isLibraryName(name string) bool {
	return (strings.HasPrefix(name, "lib") || strings.HasPrefix(name, "ld-")) && strings.Contains(name, ".so") ||
		strings.HasPrefix(name, "ld.so.") || strings.HasPrefix(name, "ld64.so.")
}

// isTemporary tells whether a file has a name that prelink, or a package manager, uses while it
// writes.
func (b *builder) isTemporary(name string) bool {
	const prelink = ".#prelink#"
	if strings.HasSuffix(name, prelink) ||
		len(name) >= len(prelink)+7 && strings.HasPrefix(name[len(name)-len(prelink)-7:], prelink+".") {
		return true
	}
	return b.glibc.skipsTemporary() && (strings.Contains(name, ";") ||
		strings.HasSuffix(name, ".dpkg-new") || strings.HasSuffix(name, ".dpkg-tmp"))
}

// linkers are names of dynamic linkers, whose links Debian's ldconfig leaves alone.
var linkers = map[string]bool{
	"ld-kfreebsd-x86-64.so.1": true, "ld-linux-aarch64.so.1": true, "ld-linux-aarch64_be.so.1": true,
	"ld-linux-armhf.so.3": true, "ld-linux-ia64.so.2": true, "ld-linux-mipsn8.so.1": true,
	"ld-linux-riscv64-lp64.so.1": true, "ld-linux-riscv64-lp64d.so.1": true, "ld-linux-x32.so.2": true,
	"ld-linux-x86-64.so.2": true, "ld-linux.so.2": true, "ld-linux.so.3": true, "ld.so.1": true,
	"ld64.so.1": true, "ld64.so.2": true,
}

// link makes the link from a library's soname, unless it is there or another file has its place.
// A soname that is a path gets none.
func (b *builder) link(f folder, c *candidate) {
	if c.soname == "" || c.soname == "." || c.soname == ".." || strings.Contains(c.soname, "/") {
		return
	}
	at := path.Join(f.real, c.soname)
	lib := b.root.Stat(path.Join(f.real, c.name))
	if has := b.root.Stat(at); has != nil {
		if lookup.Inode(has) == lookup.Inode(lib) || linkers[c.soname] ||
			b.root.Lstat(at).Type != tree.Symlink {
			return
		}
	}
	b.root.Link(at, c.name)
	b.result.Links = append(b.result.Links, Link{at, c.name})
}

// compareNames compares names with numbers in them as numbers, which end like 32 bits do.
func (b *builder) compareNames(x, y string) int {
	digit := func(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }
	number := func(s string) (n int32, rest string) {
		for ; digit(s); s = s[1:] {
			n = n*10 + int32(s[0]-'0')
		}
		return n, s
	}
	for x != "" {
		switch {
		case digit(x) && digit(y):
			var n, m int32
			n, x = number(x)
			m, y = number(y)
			if n != m {
				return int(n - m)
			}
		case digit(x):
			return 1
		case digit(y):
			return -1
		case y == "" || x[0] != y[0]:
			return b.letter(x) - b.letter(y)
		default:
			x, y = x[1:], y[1:]
		}
	}
	return -b.letter(y)
}

// letter is the value of a string's first letter, which is signed on amd64.
func (b *builder) letter(s string) int {
	switch {
	case s == "":
		return 0
	case b.glibc.signedLetters():
		return int(int8(s[0]))
	}
	return int(s[0])
}
