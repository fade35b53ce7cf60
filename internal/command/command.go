// Package command is the command line of a program that has commands: it finds the one that is
// meant, reads its flags, tells how it is used and completes it in shells. Flags are pflag's, and
// the forms are those of cobra. Cobra itself makes the command for targets 200 kB larger, since it
// needs regexp and text/template.
//
// NewRoot makes the program's own command, Add gives it others, and Execute runs a command line.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

// ErrUsage is what the error of a wrong command line is.
var ErrUsage = errors.New("wrong command line")

// usageError is an error that is ErrUsage, which its text leaves out.
type usageError struct{ error }

func (e usageError) Unwrap() []error { return []error{ErrUsage, e.error} }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Command is one command. Run, or other commands below it, make it one that can be called.
type Command struct {
	Use   string // its name, then the arguments that it takes
	Short string // what it does, in a line
	Long  string // the same in its own help, where a line is not enough
	Args  Args   // nil: whatever is given
	Run   func(ctx context.Context, args []string) error

	parent   *Command
	commands []*Command
	flags    *pflag.FlagSet
}

// name is how c is called.
func (c *Command) name() string {
	name, _, _ := strings.Cut(c.Use, " ")
	return name
}

// path names c as it is typed, from the program on.
func (c *Command) path() string {
	if c.parent == nil {
		return c.name()
	}
	return c.parent.path() + " " + c.name()
}

// useLine is path with the arguments.
func (c *Command) useLine() string {
	line := c.Use
	if c.parent != nil {
		line = c.parent.path() + " " + line
	}
	if !strings.Contains(line, "[flags]") {
		line += " [flags]"
	}
	return line
}

// Flags are the flags of c. It has --help without further ado.
func (c *Command) Flags() *pflag.FlagSet {
	if c.flags == nil {
		c.flags = pflag.NewFlagSet(c.name(), pflag.ContinueOnError)
	}
	return c.flags
}

// allFlags are Flags with --help, the last where they are not sorted.
func (c *Command) allFlags() *pflag.FlagSet {
	f := c.Flags()
	if f.Lookup("help") == nil {
		f.BoolP("help", "h", false, "help for "+c.name())
	}
	return f
}

// Add puts commands below c.
func (c *Command) Add(commands ...*Command) {
	for _, sub := range commands {
		sub.parent = c
		c.commands = append(c.commands, sub)
	}
}

// find gives the command below c that args name, and what is left of args.
func (c *Command) find(args []string) (*Command, []string) {
	for len(args) > 0 {
		next := c.below(args[0])
		if next == nil {
			break
		}
		c, args = next, args[1:]
	}
	return c, args
}

// below gives the command of that name right below c, or nil.
func (c *Command) below(name string) *Command {
	for _, sub := range c.commands {
		if sub.name() == name {
			return sub
		}
	}
	return nil
}

// Root is the command of a whole program.
type Root struct {
	*Command
	help    *Command // whose arguments name another one
	version string
	stdout  io.Writer
}

// NewRoot makes a program's command, which has the commands help and completion, and the flag
// --version. They print to stdout.
func NewRoot(name, short, version string, stdout io.Writer) *Root {
	r := &Root{Command: &Command{Use: name, Short: short}, version: version, stdout: stdout}
	r.Flags().BoolP("version", "v", false, "version for "+name)
	r.help = r.newHelp()
	r.Add(r.help, r.newCompletion())
	return r
}

// Execute runs a command line, and gives the command that it names. Errors are those of Args and
// Run, or ErrUsage.
func (r *Root) Execute(ctx context.Context, args []string) (*Command, error) {
	if len(args) > 0 && (args[0] == requestWords || args[0] == requestNames) {
		return r.Command, r.complete(args[0] == requestWords, args[1:])
	}
	c, rest := r.find(args)
	if c.Run == nil && len(rest) == 0 {
		return c, usagef("no command is given (see %s --help)", c.path())
	}
	if c.Run == nil && !strings.HasPrefix(rest[0], "-") {
		return c, unknownCommand(c, rest[0])
	}
	f := c.allFlags()
	if err := f.Parse(rest); err != nil {
		return c, flagError(c, err)
	}
	if help, _ := f.GetBool("help"); help {
		return c, c.printHelp(r.stdout)
	}
	if version, _ := r.Flags().GetBool("version"); version {
		_, err := fmt.Fprintf(r.stdout, "%s version %s\n", r.name(), r.version)
		return c, err
	}
	if c.Run == nil {
		return c, usagef("no command is given (see %s --help)", c.path())
	}
	if c.Args != nil {
		if err := c.Args(c, f.Args()); err != nil {
			return c, err
		}
	}
	return c, c.Run(ctx, f.Args())
}
