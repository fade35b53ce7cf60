// Package script reads what a package's maintainer script would do when the package is installed on
// a machine that never had it, without running anything.
//
// It follows the script through the branches that a fresh installation takes: $1 is configure or
// install, $2 is empty, and files are those of a [System]. A condition that is not known is open,
// and both branches count. Commands that only read, or speak to a running system, are passed over;
// so are those whose work the System has already. All others are what the script would do.
package script

import (
	"fmt"
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Bounds of what is followed.
const (
	// Bytes of a script. Of a thousand packages of Debian the longest has 15 kB. The parser takes
	// up to 4 kB of stack for a byte, and a stack of more than 1 GB ends the program.
	sizeMax  = 64 << 10
	stepsMax = 100_000 // commands
	depthMax = 50      // functions that call one another
)

// Effects is what a script does.
type Effects struct {
	// Rest has the commands that nothing covers, one a line, as they stand in the script with what
	// is known of their variables put in.
	Rest []string
	// Covered has the words of the covered commands whose words are all known, in order.
	Covered [][]string
}

// System is what a script finds: a tree to which it is to have nothing to add.
type System interface {
	// Test gives what test(1) says of a path with an operator such as -e. known is false when it
	// can't be told.
	Test(op, path string) (holds, known bool)
	// Covers tells whether the system has already what a command would do. Words are those that are
	// known, up to the first one that is not; all tells whether they are all of the command's.
	Covers(words []string, all bool) bool
}

// Triggered is the action of a script that other packages' files trigger; $2 is not known then.
const Triggered = "triggered"

// Follow reads a script that is called with an action and no older version. Of one that is none of
// sh, or too much to follow, Rest has a line that says so.
func Follow(text, action string, system System) *Effects {
	if len(text) > sizeMax {
		return notFollowed("it has %d bytes, and at most %d are followed", len(text), sizeMax)
	}
	if line, _, _ := strings.Cut(text, "\n"); strings.HasPrefix(line, "#!") &&
		!strings.Contains(line, "sh") {
		return &Effects{Rest: []string{line}} // perl, or a program
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return notFollowed("it is none of sh: %v", err)
	}
	f := &follower{
		system: system,
		vars: map[string]string{
			"1": action, "2": "", "DPKG_ROOT": "", "DPKG_MAINTSCRIPT_NAME": action,
			"DEBIAN_FRONTEND": "noninteractive",
		},
		functions: map[string]*syntax.Stmt{},
	}
	if action == Triggered {
		delete(f.vars, "2")
	}
	f.statements(file.Stmts)
	if f.steps > stepsMax {
		return notFollowed("it does more than %d steps", stepsMax)
	}
	f.effects.Rest = distinct(f.effects.Rest)
	return &f.effects
}

// notFollowed gives what counts as the rest of a script that is not followed.
func notFollowed(why string, args ...any) *Effects {
	return &Effects{Rest: []string{"# " + fmt.Sprintf(why, args...)}}
}

// distinct gives each line once.
func distinct(lines []string) (list []string) {
	seen := map[string]bool{}
	for _, l := range lines {
		if !seen[l] {
			seen[l] = true
			list = append(list, l)
		}
	}
	return list
}

// status is what is known of how a command ends.
type status uint8

const (
	open status = iota
	success
	failure
)

func (s status) not() status {
	switch s {
	case success:
		return failure
	case failure:
		return success
	}
	return open
}

func truth(b bool) status {
	if b {
		return success
	}
	return failure
}

// follower follows a script.
type follower struct {
	system    System
	vars      map[string]string // those that are known; numbers are a function's arguments
	functions map[string]*syntax.Stmt
	effects   Effects
	steps     int
	depth     int
	inside    int // branches that may not be taken: a return there ends nothing
	ended     bool
}

func (f *follower) statements(list []*syntax.Stmt) (last status) {
	last = success
	for _, s := range list {
		if f.ended || f.steps > stepsMax {
			return open
		}
		last = f.statement(s)
	}
	return last
}

// maybe follows what may not happen.
func (f *follower) maybe(do func() status) {
	f.inside++
	do()
	f.inside--
}

// branch follows a branch as far as a condition lets it.
func (f *follower) branch(condition status, then, otherwise func() status) status {
	switch condition {
	case success:
		return then()
	case failure:
		return otherwise()
	}
	f.maybe(then)
	f.maybe(otherwise)
	return open
}

func (f *follower) statement(s *syntax.Stmt) status {
	f.steps++
	result := f.command(s)
	if s.Negated {
		return result.not()
	}
	return result
}

func (f *follower) command(s *syntax.Stmt) status {
	if _, simple := s.Cmd.(*syntax.CallExpr); !simple {
		f.writes(s)
	}
	switch c := s.Cmd.(type) {
	case nil:
		return open
	case *syntax.CallExpr:
		return f.call(s, c)
	case *syntax.IfClause:
		return f.ifClause(c)
	case *syntax.CaseClause:
		return f.caseClause(c)
	case *syntax.BinaryCmd:
		return f.binary(c)
	case *syntax.Block:
		return f.statements(c.Stmts)
	case *syntax.Subshell:
		ended := f.ended
		result := f.statements(c.Stmts)
		f.ended = ended // it ends the subshell alone
		return result
	case *syntax.FuncDecl:
		if c.Name == nil { // as zsh has them
			break
		}
		f.functions[c.Name.Value] = c.Body
		return success
	case *syntax.WhileClause:
		f.maybe(func() status { return f.statements(c.Cond) })
		f.maybe(func() status { return f.statements(c.Do) })
		return open
	case *syntax.ForClause:
		f.substitutions(c.Loop)
		f.loop(c)
		return open
	case *syntax.DeclClause:
		f.substitutions(c)
		for _, a := range c.Args {
			f.assign(a)
		}
		return success
	case *syntax.TestClause:
		f.substitutions(c)
		return open
	}
	f.rest(s)
	return open
}

// substitutions follows the commands whose output stands in the words of a node.
func (f *follower) substitutions(node syntax.Node) {
	syntax.Walk(node, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst:
			f.maybe(func() status { return f.statements(n.Stmts) })
			return false
		case *syntax.ProcSubst:
			f.maybe(func() status { return f.statements(n.Stmts) })
			return false
		}
		return true
	})
}

// end is a return or an exit.
func (f *follower) end() {
	if f.inside == 0 {
		f.ended = true
	}
}

// assign notes the value of a variable.
func (f *follower) assign(a *syntax.Assign) {
	if a.Name == nil {
		return
	}
	value, ok := "", a.Value == nil && a.Array == nil && !a.Naked
	if a.Value != nil && !a.Append {
		value, ok = f.word(a.Value)
	}
	if ok && f.inside == 0 {
		f.vars[a.Name.Value] = value
	} else if !a.Naked {
		delete(f.vars, a.Name.Value)
	}
}

// rest notes a command that nothing covers. Of a simple one whose words are all known it notes
// these.
func (f *follower) rest(s *syntax.Stmt) {
	if c, ok := s.Cmd.(*syntax.CallExpr); ok && len(s.Redirs) == 0 {
		if words := f.known(c.Args); len(words) == len(c.Args) {
			f.effects.Rest = append(f.effects.Rest, strings.Join(words, " "))
			return
		}
	}
	var b strings.Builder
	if err := syntax.NewPrinter(syntax.SingleLine(true)).Print(&b, s); err != nil {
		b.WriteString("?")
	}
	line := strings.Join(strings.Fields(b.String()), " ")
	f.effects.Rest = append(f.effects.Rest, line)
}

// writes notes a compound command whose output goes to a file.
func (f *follower) writes(s *syntax.Stmt) bool {
	for _, r := range s.Redirs {
		switch r.Op {
		case syntax.RdrOut, syntax.AppOut, syntax.RdrAll, syntax.AppAll, syntax.RdrClob:
			to, ok := f.word(r.Word)
			// no image wants what a script tells of its work
			if ok && (to == "/dev/null" || path.Dir(to) == "/var/log") {
				continue
			}
			if there, known := f.system.Test("-e", to); !ok || !there || !known {
				f.rest(s)
				return true
			}
		}
	}
	return false
}
