package list

import (
	"path"
	"slices"
	"strings"
)

// ofImage are folders of which nothing is ever kept: programs, what the kernel and programs make
// anew at each boot, and the data partition itself.
var ofImage = []string{
	"/bin", "/boot", "/data", "/dev", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys",
	"/tmp", "/usr", "/var/lock", "/var/run",
}

// Temporary is how the names of files begin that deltaup makes beside those that it is about to
// replace. A power cut may leave one behind: it is no setting.
const Temporary = ".deltaup-"

// never tells whether nothing may be kept at the path.
func never(name string) bool {
	return name == "/" || withinAny(ofImage, name) && !within("/usr/local", name) ||
		strings.HasPrefix(path.Base(name), Temporary)
}

// guards are paths that belong to the image: a machine that boots with an old version of one may
// not boot at all.
var guards = mustCompile(
	"/etc/fstab", "/etc/crypttab", "/etc/mtab", "/etc/ld.so.cache", "/etc/deltaup/", "/etc/default/grub*",
	"/etc/default/grub*/", "/etc/grub.d/", "/etc/initramfs-tools/", "/etc/dracut.conf*", "/etc/dracut.conf*/",
	"/etc/kernel/",
)

func mustCompile(patterns ...string) []glob {
	var all []glob
	for _, p := range patterns {
		g, err := compile(p)
		if err != nil {
			panic(err)
		}
		all = append(all, g)
	}
	return all
}

// guarded tells whether the path is kept only by force.
func guarded(name string) bool {
	return within("/etc", name) && slices.ContainsFunc(guards, func(g glob) bool { return g.match(name) })
}

// guardedFolder tells whether all below the path is kept only by force.
func guardedFolder(name string) bool {
	return within("/etc", name) && slices.ContainsFunc(guards, func(g glob) bool { return g.tree && g.match(name) })
}

// refusal is why the rule does not count; empty: it does.
func (r *rule) refusal() string {
	if r.verb == except || r.verb == forget {
		return ""
	}
	folder := r.folder()
	switch {
	case folder == "/" && r.verb == keep:
		return "no folder at the top is named: " + r.pattern + " cannot be recorded"
	case never(folder):
		return folder + " belongs to the image, nothing of it is kept"
	case r.verb == data && len(r.parts) > 0:
		return "a folder of data has no wildcards"
	case r.verb == data && within("/etc", r.base):
		return "what is in /etc is kept, it is no data"
	case r.verb == keep && !r.Force && guarded(r.base):
		return r.base + " belongs to the image; force keeps it"
	}
	return ""
}

// folder is the deepest folder that the rule names without wildcards.
func (r *rule) folder() string {
	if len(r.parts) > 0 || r.tree || r.verb == data {
		return r.base
	}
	return path.Dir(r.base)
}
