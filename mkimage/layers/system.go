package layers

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"deltaup/mkimage/tree"
)

// finished is a composed tree as packages' scripts would find it: a script that has nothing to add
// to it is known.
type finished struct{ *composition }

// Test implements script.System. What a running system has is not there.
func (f finished) Test(op, name string) (holds, known bool) {
	if !strings.HasPrefix(name, "/") || strings.ContainsAny(name, "*?[") {
		return false, false
	}
	at := strings.TrimPrefix(path.Clean(name), "/")
	if volatile(name) {
		return false, true
	}
	own := (*file)(nil)
	if resolved, ok := f.stage.resolve(at); ok {
		own = f.stage.files[resolved]
	}
	to := f.stage.find(at)
	switch op {
	case "-e":
		return to != nil, true
	case "-f":
		return to != nil && to.Type == tree.Regular, true
	case "-d":
		return to != nil && to.Type == tree.Directory, true
	case "-L", "-h":
		return own != nil && own.Type == tree.Symlink, true
	case "-s":
		return to != nil && (to.Type != tree.Regular || to.size > 0), true
	case "-x":
		return to != nil && to.Mode&0o111 != 0, true
	case "-r", "-w":
		return to != nil, true
	case "-p", "-S", "-b", "-c":
		return false, to == nil
	}
	return false, false
}

// Covers implements script.System.
func (f finished) Covers(words []string, all bool) bool {
	name := path.Base(words[0])
	if by, ok := covering[name]; ok {
		return !f.definition.Rules.off(by) // whatever its words are
	}
	if !all {
		return false
	}
	plain, options := split(words[1:])
	switch name {
	case "adduser", "useradd":
		return len(plain) > 0 && f.has("etc/passwd", plain[len(plain)-1])
	case "addgroup", "groupadd":
		return len(plain) > 0 && f.has("etc/group", plain[len(plain)-1])
	case "update-alternatives":
		return !slices.Contains(words, "--install") ||
			parseable(words) && f.definition.Rules.Alternatives == "auto"
	case "fc-cache":
		return f.fontCaches
	case "busybox":
		return slices.Contains(words, "--install") && f.definition.Rules.Applets != "none"
	case "dpkg-divert":
		return literalDiversion(words)
	case "mkdir":
		return f.all("-d", plain)
	case "touch":
		// the mark of a new kernel, which the package's other script takes away
		return f.all("-e", plain) || len(plain) == 1 && path.Base(plain[0]) == ".fresh-install"
	case "run-parts": // of kernels: initrds and menus of boot loaders
		return strings.HasPrefix(words[len(words)-1], "/etc/kernel/")
	case "cp", "install", "ucf":
		return f.copied(plain, options)
	case "ln":
		return f.linked(plain)
	case "rm":
		return len(plain) > 0 && !slices.ContainsFunc(plain, func(p string) bool {
			there, known := f.Test("-e", p)
			link, _ := f.Test("-L", p)
			return there || link || !known
		})
	case "chmod":
		return len(plain) > 1 && f.each(plain[1:], func(to *file) bool { return f.mode(to, plain[0]) })
	case "chown", "chgrp":
		return len(plain) > 1 && f.each(plain[1:], func(to *file) bool {
			return f.owned(to, name, plain[0])
		})
	case "dpkg-statoverride":
		return len(plain) == 4 && f.each(plain[3:], func(to *file) bool {
			return f.owned(to, "chown", plain[0]+":"+plain[1]) && f.mode(to, plain[2])
		})
	}
	return false
}

// volatile tells whether what is at an absolute path is made at each boot.
func volatile(name string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path.Clean(name), "/"), "/")
	return strings.HasPrefix(name, "/") && slices.Contains(volatileDirs, first)
}

// split tells a command's options from its other words. The values of options stay among these.
func split(args []string) (plain, options []string) {
	for i, a := range args {
		switch {
		case a == "--":
			return append(plain, args[i+1:]...), options
		case len(a) > 1 && a[0] == '-':
			options = append(options, a)
		default:
			plain = append(plain, a)
		}
	}
	return plain, options
}

func (f finished) has(database, name string) bool {
	_, ok := f.number(database, name)
	_, err := strconv.Atoi(name)
	return ok && err != nil
}

// all tells whether a test holds for all paths.
func (f finished) all(op string, paths []string) bool {
	return len(paths) > 0 && !slices.ContainsFunc(paths, func(p string) bool {
		if volatile(p) {
			return false
		}
		holds, known := f.Test(op, p)
		return !holds || !known
	})
}

// each tells whether all paths are there and have a property.
func (f finished) each(paths []string, property func(*file) bool) bool {
	return !slices.ContainsFunc(paths, func(p string) bool {
		if volatile(p) {
			return false
		}
		to := f.stage.find(strings.TrimPrefix(p, "/"))
		return !strings.HasPrefix(p, "/") || to == nil || !property(to)
	})
}

func (f finished) mode(to *file, mode string) bool {
	n, err := strconv.ParseUint(mode, 8, 16)
	return err == nil && uint64(to.Mode) == n
}

func (f finished) owned(to *file, command, owner string) bool {
	user, group, both := strings.Cut(strings.Replace(owner, ".", ":", 1), ":")
	if command == "chgrp" {
		user, group, both = "", owner, true
	}
	uid, ok := f.number("etc/passwd", user)
	if user != "" && (!ok || uid != to.UID) {
		return false
	}
	gid, ok := f.number("etc/group", group)
	return !both || group == "" || ok && gid == to.GID
}

// copied tells whether the last of a copy's words is there, or in the folder that it names what is
// copied.
func (f finished) copied(plain, options []string) bool {
	if len(plain) < 2 || slices.Contains(options, "-t") || slices.Contains(options, "-d") {
		return false
	}
	to := plain[len(plain)-1]
	if folder, _ := f.Test("-d", to); !folder {
		return f.all("-e", []string{to})
	}
	for _, from := range plain[:len(plain)-1] {
		if !f.all("-e", []string{path.Join(to, path.Base(from))}) {
			return false
		}
	}
	return true
}

// linked tells whether there is what a link would be.
func (f finished) linked(plain []string) bool {
	if len(plain) != 2 {
		return false
	}
	to := plain[1]
	folder, _ := f.Test("-d", to)
	if link, _ := f.Test("-L", to); folder && !link {
		to = path.Join(to, path.Base(plain[0]))
	}
	resolved, ok := f.stage.resolve(strings.TrimPrefix(path.Clean(to), "/"))
	return ok && strings.HasPrefix(to, "/") && f.stage.files[resolved] != nil
}
