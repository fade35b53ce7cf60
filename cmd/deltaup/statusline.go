package main

import (
	"fmt"
	"io"
)

// statusLine is a line of a terminal that is overwritten as work goes on. Where
// standard error is no terminal it shows nothing.
type statusLine struct {
	w     io.Writer // nil: no terminal
	shown string
}

func newStatusLine(env *Env) *statusLine {
	if !isTerminal(env.Stderr) {
		return &statusLine{}
	}
	return &statusLine{w: env.Stderr}
}

// show says how far a step has come.
func (s *statusLine) show(what string, done, total int64) {
	text := fmt.Sprintf("%s: %d %%", what, 100*done/max(total, 1))
	if s.w != nil && text != s.shown {
		printf(s.w, "\r\x1b[K%s", text)
		s.shown = text
	}
}

// clear takes the line away, so that other output can follow.
func (s *statusLine) clear() {
	if s.shown != "" {
		printf(s.w, "\r\x1b[K")
		s.shown = ""
	}
}
