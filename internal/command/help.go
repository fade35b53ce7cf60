package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// nameColumn is how wide the column of commands' names is at least.
const nameColumn = 11

// printHelp tells what c does and how it is used.
func (c *Command) printHelp(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage:\n", trimRight(cmp.Or(c.Long, c.Short)))
	if c.Run != nil {
		fmt.Fprintf(&b, "  %s\n", c.useLine())
	}
	if len(c.commands) > 0 {
		fmt.Fprintf(&b, "  %s [command]\n\nAvailable Commands:\n", c.path())
		width := nameColumn
		for _, sub := range c.commands {
			width = max(width, len(sub.name()))
		}
		for _, sub := range c.sorted() {
			fmt.Fprintf(&b, "  %-*s %s\n", width, sub.name(), sub.Short)
		}
	}
	fmt.Fprintf(&b, "\nFlags:\n%s\n", trimRight(c.allFlags().FlagUsages()))
	if len(c.commands) > 0 {
		fmt.Fprintf(&b, "\nUse \"%s [command] --help\" for more information about a command.\n",
			c.path())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func trimRight(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }

// sorted gives the commands below c by name.
func (c *Command) sorted() []*Command {
	return slices.SortedFunc(slices.Values(c.commands),
		func(a, b *Command) int { return strings.Compare(a.name(), b.name()) })
}

func (r *Root) newHelp() *Command {
	return &Command{
		Use:   "help [COMMAND]",
		Short: "Tell more about a command",
		Run: func(_ context.Context, args []string) error {
			about, rest := r.find(args)
			if len(rest) > 0 {
				return unknownCommand(about, rest[0])
			}
			return about.printHelp(r.stdout)
		},
	}
}
