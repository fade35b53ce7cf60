package script

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// known gives the values of words up to the first one that is not known.
func (f *follower) known(list []*syntax.Word) (values []string) {
	for _, w := range list {
		v, ok := f.word(w)
		if !ok {
			break
		}
		values = append(values, v)
	}
	return values
}

// word gives the value of a word.
func (f *follower) word(w *syntax.Word) (string, bool) {
	if w == nil {
		return "", true
	}
	return f.parts(w.Parts)
}

func (f *follower) parts(parts []syntax.WordPart) (string, bool) {
	var b strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			b.WriteString(strings.ReplaceAll(p.Value, "\\", ""))
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			v, ok := f.parts(p.Parts)
			if !ok {
				return "", false
			}
			b.WriteString(v)
		case *syntax.ParamExp:
			v, ok := f.parameter(p)
			if !ok {
				return "", false
			}
			b.WriteString(v)
		default:
			return "", false
		}
	}
	return b.String(), true
}

// parameter gives the value of $NAME, ${NAME:-WORD}, ${NAME:+WORD} and the like.
func (f *follower) parameter(p *syntax.ParamExp) (string, bool) {
	if p.Param == nil || p.Excl || p.Length || p.Width || p.Index != nil || p.Slice != nil ||
		p.Repl != nil {
		return "", false
	}
	value, known := f.vars[p.Param.Value]
	if p.Exp == nil {
		return value, known
	}
	if !known {
		return "", false
	}
	switch p.Exp.Op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull:
		if value == "" {
			return f.word(p.Exp.Word)
		}
		return value, true
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		if value == "" {
			return "", true
		}
		return f.word(p.Exp.Word)
	}
	return "", false
}
