//go:build target

package main

import "github.com/spf13/cobra"

func publisherCommands(*Env) []*cobra.Command { return nil }

func traceReaders(*Env) []*cobra.Command { return nil }

var publisherOutcomes []outcome
