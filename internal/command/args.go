package command

// Args checks how many arguments a command is given.
type Args func(c *Command, args []string) error

// Exactly demands n arguments.
func Exactly(n int) Args {
	return func(c *Command, args []string) error {
		if len(args) != n {
			return usagef("%s takes %d argument(s), got %d: usage: %s", c.path(), n, len(args),
				c.useLine())
		}
		return nil
	}
}

// AtMost permits up to n arguments.
func AtMost(n int) Args {
	return func(c *Command, args []string) error {
		if len(args) > n {
			return usagef("%s takes at most %d argument(s), got %d: usage: %s", c.path(), n,
				len(args), c.useLine())
		}
		return nil
	}
}

// Between demands least arguments, and permits up to most.
func Between(least, most int) Args {
	return func(c *Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usagef("%s takes %d to %d arguments, got %d: usage: %s", c.path(), least, most,
				len(args), c.useLine())
		}
		return nil
	}
}
