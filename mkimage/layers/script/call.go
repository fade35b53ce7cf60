package script

import (
	"maps"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// call follows a simple command.
func (f *follower) call(s *syntax.Stmt, c *syntax.CallExpr) status {
	f.substitutions(c)
	if len(c.Args) == 0 {
		for _, a := range c.Assigns {
			f.assign(a)
		}
		return success
	}
	words := f.known(c.Args)
	if len(words) == 0 { // such as "$@"
		f.rest(s)
		return open
	}
	if f.writes(s) {
		return open
	}
	all := len(words) == len(c.Args)
	name := words[0]
	switch name {
	case "true", ":", "set", "umask", "export", "trap", "shift", "unset", "local", "cd":
		return success
	case "false":
		return failure
	case "exit", "return":
		f.end()
		return open
	case "[", "test":
		if !all {
			return f.partly(words)
		}
		args := words[1:]
		if name == "[" && len(args) > 0 {
			args = args[:len(args)-1]
		}
		return f.test(args)
	}
	if body, ok := f.functions[name]; ok {
		return f.function(body, words, len(c.Args))
	}
	if name == "dpkg" && len(words) > 1 && words[1] == "--compare-versions" {
		return compareVersions(words[2:])
	}
	if readsOnly(words) {
		return open
	}
	if f.system.Covers(words, all) {
		if all {
			f.effects.Covered = append(f.effects.Covered, words)
		}
		return open
	}
	f.rest(s)
	return open
}

// function follows a function with its arguments, of which there are total with its name.
func (f *follower) function(body *syntax.Stmt, words []string, total int) status {
	if f.depth++; f.depth > depthMax {
		f.depth--
		f.rest(body)
		return open
	}
	before := maps.Clone(f.vars)
	for i := 1; i < 10; i++ {
		switch {
		case i < len(words):
			f.vars[strconv.Itoa(i)] = words[i]
		case i < total:
			delete(f.vars, strconv.Itoa(i)) // it has a value that is not known
		default:
			f.vars[strconv.Itoa(i)] = ""
		}
	}
	result := f.statement(body)
	f.ended = false // a return; an exit here is followed on, which shows more, not less
	for i := 1; i < 10; i++ {
		name := strconv.Itoa(i)
		delete(f.vars, name)
		if v, ok := before[name]; ok {
			f.vars[name] = v
		}
	}
	f.depth--
	return result
}

// test gives what test(1) says.
func (f *follower) test(args []string) status {
	switch len(args) {
	case 0:
		return failure
	case 1:
		return truth(args[0] != "")
	}
	if args[0] == "!" {
		return f.test(args[1:]).not()
	}
	for _, op := range []string{"-o", "-a"} {
		for i := 1; i < len(args)-1; i++ {
			if args[i] != op {
				continue
			}
			return join(op, f.test(args[:i]), f.test(args[i+1:]))
		}
	}
	switch {
	case len(args) == 2 && args[0] == "-n":
		return truth(args[1] != "")
	case len(args) == 2 && args[0] == "-z":
		return truth(args[1] == "")
	case len(args) == 2:
		if holds, known := f.system.Test(args[0], args[1]); known {
			return truth(holds)
		}
	case len(args) == 3 && (args[1] == "=" || args[1] == "=="):
		return truth(args[0] == args[2])
	case len(args) == 3 && args[1] == "!=":
		return truth(args[0] != args[2])
	}
	return open
}

// join gives the status of two tests joined by -o or -a.
func join(op string, x, y status) status {
	decides := success
	if op == "-a" {
		decides = failure
	}
	switch {
	case x == decides || y == decides:
		return decides
	case x == open || y == open:
		return open
	}
	return decides.not()
}

// partly tests what is known of a test's words.
func (f *follower) partly(words []string) status {
	// [ X = Y -a UNKNOWN... ] fails when X is not Y
	for i, w := range words {
		if w == "-a" && i > 1 && f.test(words[1:i]) == failure {
			return failure
		}
	}
	return open
}

// compareVersions gives what dpkg --compare-versions says of no version and any other one.
func compareVersions(args []string) status {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) < 2 || args[0] != "" {
		return open
	}
	switch args[1] {
	case "lt", "le", "ne", "gt-nl", "ge-nl", "<", "<<", "<=":
		return success
	case "gt", "ge", "eq", "lt-nl", "le-nl", ">", ">>", ">=":
		return failure
	}
	return open
}

// readers are commands that change nothing, whatever their arguments.
var readers = map[string]bool{}

func init() {
	for _, name := range strings.Fields(`awk basename cat cmp command cut dirname dpkg-query echo egrep
		expr fgrep find getcap getent grep head id ischroot logger ls md5sum pidof printf read readlink
		realpath sha256sum sleep sort ss stat tail tr true type uname uniq wc which db_get db_set db_fset
		db_stop db_version db_capb db_title db_input db_go db_metaget db_subst db_register db_unregister
		db_purge db_reset deb-systemd-invoke invoke-rc.d service mktemp continue break dpkg-realpath
		dpkg-vendor`) {
		readers[name] = true
	}
}

// readsOnly tells whether a command changes no file of the system that is installed.
func readsOnly(words []string) bool {
	name := words[0][strings.LastIndexByte(words[0], '/')+1:]
	has := func(list ...string) bool {
		for _, w := range words[1:] {
			for _, l := range list {
				if w == l {
					return true
				}
			}
		}
		return false
	}
	switch name {
	case "find":
		return !has("-delete", "-exec", "-execdir", "-ok")
	case "sed":
		for _, w := range words[1:] {
			if strings.HasPrefix(w, "-i") || strings.HasPrefix(w, "--in-place") {
				return false
			}
		}
		return true
	case ".", "source":
		return len(words) > 1 && (strings.HasSuffix(words[1], "/confmodule") ||
			strings.HasPrefix(words[1], "/usr/share/dpkg/"))
	case "dpkg":
		return has("-L", "-l", "-s", "-S", "--listfiles", "--status", "--print-architecture", "--list",
			"--validate-version")
	case "dpkg-divert":
		return has("--list", "--listpackage", "--truename")
	case "dpkg-statoverride":
		return has("--list")
	case "systemctl":
		return has("daemon-reload", "daemon-reexec", "is-active", "is-enabled", "try-restart", "restart",
			"start", "stop", "reload", "show", "reload-or-restart")
	}
	return readers[name]
}
