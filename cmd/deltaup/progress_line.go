//go:build target

package main

import "os"

// newTerminalReporter is for people who look on. One line that is overwritten does on a target:
// bars would take 500 kB of the program.
func newTerminalReporter(env *Env) reporter {
	t := newTextReporter(env)
	t.line.terminal, t.line.every = env.Stdout.(*os.File), redrawEvery
	return t
}
