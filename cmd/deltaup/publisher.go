//go:build !target

package main

import "github.com/spf13/cobra"

// publisherCommands are those that only publishers and operators have, in the order of an image's
// journey. The build for targets (-tags target) goes without them and without what they alone need.
func publisherCommands(env *Env) []*cobra.Command {
	return []*cobra.Command{
		newMkimageCommand(env),
		newKeysCommand(env),
		newPublishCommand(env),
		newRefreshCommand(env),
		newServeCommand(env),
		newCheckCommand(env),
		newDiffCommand(env),
		newInspectCommand(env),
	}
}
