package command

import (
	"context"
	_ "embed" // the scripts
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// What a shell's script calls, with the words after the program up to the cursor: one for words
// that can stand there, each with a tab and what it means, and one for the words alone.
const (
	requestWords = "__complete"
	requestNames = "__completeNoDesc"
)

var (
	//go:embed complete.bash
	bash string
	//go:embed complete.zsh
	zsh string
	//go:embed complete.fish
	fish string
)

func (r *Root) newCompletion() *Command {
	c := &Command{
		Use:   "completion",
		Short: "Generate the autocompletion script for the specified shell",
		Long: `Generate the autocompletion script for the specified shell. The help of each
shell's command says what to do with it.`,
	}
	c.Add(
		r.newScript("bash", bash, "source <(deltaup completion bash)",
			"deltaup completion bash > /etc/bash_completion.d/deltaup"),
		r.newScript("zsh", zsh, "source <(deltaup completion zsh)",
			`deltaup completion zsh > "${fpath[1]}/_deltaup"`),
		r.newScript("fish", fish, "deltaup completion fish | source",
			"deltaup completion fish > ~/.config/fish/completions/deltaup.fish"),
	)
	return c
}

// newScript is the command that prints a shell's script. now is what loads it into a running shell,
// always what new ones need.
func (r *Root) newScript(shell, script, now, always string) *Command {
	var names bool
	c := &Command{
		Use:   shell,
		Short: "Generate the autocompletion script for " + shell,
		Long: fmt.Sprintf(`Generate the autocompletion script for the %s shell. To load it into a shell that
runs:

	%s

To have it in all that are started later:

	%s`, shell, now, always),
		Args: func(c *Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return nil
		},
		Run: func(context.Context, []string) error {
			if names {
				script = strings.ReplaceAll(script, requestWords, requestNames)
			}
			_, err := io.WriteString(r.stdout, script)
			return err
		},
	}
	c.Flags().BoolVar(&names, "no-descriptions", false, "disable completion descriptions")
	return c
}

// complete prints what the last of words, which is "" where none is begun, can become. It prints
// nothing where a file's name, or the value of a flag, may stand.
func (r *Root) complete(meanings bool, words []string) error {
	if len(words) == 0 {
		return nil
	}
	begun := words[len(words)-1]
	c, rest := r.find(words[:len(words)-1])
	above := c // of the commands that can stand there
	if c == r.help {
		above, rest = r.find(rest)
	}
	var b strings.Builder
	add := func(word, meaning string) {
		if !strings.HasPrefix(word, begun) {
			return
		}
		if meanings {
			word += "\t" + meaning
		}
		b.WriteString(word + "\n")
	}
	switch {
	case slices.Contains(rest, "--") || c.wantsValue(rest):
	case strings.HasPrefix(begun, "-"):
		c.allFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				_, usage := pflag.UnquoteUsage(f)
				add("--"+f.Name, usage)
			}
		})
	case len(rest) == 0:
		for _, sub := range above.sorted() {
			add(sub.name(), sub.Short)
		}
	}
	_, err := io.WriteString(r.stdout, b.String())
	return err
}

// wantsValue tells whether the last of words is a flag whose value is the next word.
func (c *Command) wantsValue(words []string) bool {
	if len(words) == 0 {
		return false
	}
	last, flags := words[len(words)-1], c.allFlags()
	if name, ok := strings.CutPrefix(last, "--"); ok {
		f := flags.Lookup(name) // nil for --name=value
		return f != nil && f.NoOptDefVal == ""
	}
	for i := 1; i < len(last) && last[0] == '-'; i++ { // -abc may be -a -b -c, or -a bc
		f := flags.ShorthandLookup(last[i : i+1])
		if f == nil || f.NoOptDefVal == "" {
			return f != nil && i == len(last)-1
		}
	}
	return false
}
