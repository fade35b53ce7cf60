package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// unknownCommand is the error for a name that no command below parent has.
func unknownCommand(parent *Command, name string) error {
	var names []string
	for _, sub := range parent.commands {
		names = append(names, sub.name())
	}
	return usagef("unknown command %q%s (see %s --help)", name, suggest(names, name, ""),
		parent.path())
}

// flagError makes a usage error of what pflag says.
func flagError(c *Command, err error) error {
	hint := ""
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1 {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
		hint = suggest(names, unknown.GetSpecifiedName(), "--")
	}
	return usagef("%w%s (see %s --help)", err, hint, c.path())
}

// suggest gives ", did you mean …?" when some of names are like the one that was typed.
func suggest(names []string, typed, prefix string) string {
	if typed == "" {
		return "" // all of them begin like it
	}
	most := 2
	if len(typed) < 5 {
		most = 1 // of four letters, two say little
	}
	typed = strings.ToLower(typed)
	var like []string
	for _, name := range names {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, typed) ||
			distance(lower, typed) <= most {
			like = append(like, prefix+name)
		}
	}
	if len(like) == 0 {
		return ""
	}
	return fmt.Sprintf(", did you mean %s?", strings.Join(like, " or "))
}

// distance is how many bytes have to be put in, taken out or replaced to make b of a, after
// Levenshtein.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // of a's beginning so far to each beginning of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := before
			if a[i] != b[j] {
				d = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
