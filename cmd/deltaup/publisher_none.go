//go:build target

package main

import "deltaup/internal/command"

func publisherCommands(*Env) []*command.Command { return nil }

func traceReaders(*Env) []*command.Command { return nil }

var publisherOutcomes []outcome
