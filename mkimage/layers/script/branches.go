package script

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// loop follows a loop, once for each of its words if these are known.
func (f *follower) loop(c *syntax.ForClause) {
	words, ok := c.Loop.(*syntax.WordIter)
	if !ok {
		f.maybe(func() status { return f.statements(c.Do) })
		return
	}
	known := f.known(words.Items)
	if len(known) < len(words.Items) {
		delete(f.vars, words.Name.Value)
		f.maybe(func() status { return f.statements(c.Do) })
		return
	}
	for _, w := range known {
		f.vars[words.Name.Value] = w
		f.maybe(func() status { return f.statements(c.Do) })
	}
}

func (f *follower) ifClause(c *syntax.IfClause) status {
	condition := f.statements(c.Cond)
	if f.ended {
		return open
	}
	return f.branch(condition,
		func() status { return f.statements(c.Then) },
		func() status {
			switch {
			case c.Else == nil:
				return success
			case len(c.Else.Cond) == 0:
				return f.statements(c.Else.Then)
			}
			return f.ifClause(c.Else)
		})
}

func (f *follower) caseClause(c *syntax.CaseClause) status {
	f.substitutions(c.Word)
	value, known := f.word(c.Word)
	for _, item := range c.Items {
		matches := open
		if known {
			matches = failure
			for _, p := range item.Patterns {
				pattern, ok := f.word(p)
				if !ok {
					matches = open
				} else if pattern == "*" || pattern == value {
					matches = success
					break
				} else if strings.ContainsAny(pattern, "*?[") {
					matches = open
				}
			}
		}
		switch matches {
		case success:
			return f.statements(item.Stmts)
		case open:
			f.maybe(func() status { return f.statements(item.Stmts) })
		}
	}
	return open
}

func (f *follower) binary(c *syntax.BinaryCmd) status {
	switch c.Op {
	case syntax.AndStmt:
		left := f.statement(c.X)
		if f.ended {
			return open
		}
		return f.branch(left, func() status { return f.statement(c.Y) }, func() status { return failure })
	case syntax.OrStmt:
		left := f.statement(c.X)
		if f.ended {
			return open
		}
		return f.branch(left, func() status { return success }, func() status { return f.statement(c.Y) })
	}
	f.maybe(func() status { return f.statement(c.X) })
	f.maybe(func() status { return f.statement(c.Y) })
	return open
}
