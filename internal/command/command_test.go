package command

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

// program has the commands pull and push, and keys with list below it. The arguments of what runs
// last go to ran, its name first.
func program() (root *Root, out *strings.Builder, ran *[]string) {
	out, ran = &strings.Builder{}, new([]string)
	make := func(use string, args Args) *Command {
		c := &Command{Use: use, Short: "Say " + use, Args: args}
		c.Run = func(_ context.Context, args []string) error {
			*ran = append([]string{c.name()}, args...)
			return nil
		}
		return c
	}
	root = NewRoot("deltaup", "Move machines", "1.2", out)
	pull := make("pull [DIR]", AtMost(1))
	pull.Flags().SortFlags = false
	pull.Flags().String("slot", "", "write to `PATH`")
	pull.Flags().Bool("json", false, "print JSON")
	pull.Flags().Bool("odd", false, "hidden")
	if err := pull.Flags().MarkHidden("odd"); err != nil {
		panic(err)
	}
	keys := &Command{Use: "keys", Short: "Look after keys"}
	keys.Add(make("list --keys DIR [flags]", Exactly(0)))
	push := make("push", Between(1, 2))
	push.Flags().StringP("output", "o", "", "write to `FILE`")
	push.Flags().BoolP("quiet", "q", false, "say nothing")
	root.Add(pull, push, keys)
	return root, out, ran
}

func TestExecute(t *testing.T) {
	for _, c := range []struct {
		line string
		ran  []string
		err  string
	}{
		{"pull", []string{"pull"}, ""},
		{"pull --json a --slot=x", []string{"pull", "a"}, ""},
		{"pull -- --json", []string{"pull", "--json"}, ""},
		{"keys list", []string{"list"}, ""},
		{"push a b", []string{"push", "a", "b"}, ""},
		{"push -qo x -o=y a", []string{"push", "a"}, ""},
		{"push -qoq a --output= -", []string{"push", "a", "-"}, ""},

		{"", nil, "no command is given (see deltaup --help)"},
		{"--help=false", nil, "no command is given (see deltaup --help)"},
		{"-- pull", nil, "no command is given (see deltaup --help)"},
		{"keys", nil, "no command is given (see deltaup keys --help)"},
		{"nothing", nil, `unknown command "nothing" (see deltaup --help)`},
		{"^", nil, `unknown command "" (see deltaup --help)`},
		{"keys ^", nil, `unknown command "" (see deltaup keys --help)`},
		{"PULL", nil, `unknown command "PULL", did you mean pull? (see deltaup --help)`},
		{"pu", nil, `unknown command "pu", did you mean pull or push? (see deltaup --help)`},
		{"kyes list", nil, `unknown command "kyes" (see deltaup --help)`},
		{"kesy", nil, `unknown command "kesy" (see deltaup --help)`},
		{"key", nil, `unknown command "key", did you mean keys? (see deltaup --help)`},
		{"keys lst", nil, `unknown command "lst", did you mean list? (see deltaup keys --help)`},
		{"help keys lst", nil, `unknown command "lst", did you mean list? (see deltaup keys --help)`},
		{"help pull now", nil, `unknown command "now" (see deltaup pull --help)`},
		{"completion bash x", nil, `unknown command "x" (see deltaup completion bash --help)`},
		{"pull --slt x", nil, "unknown flag: --slt, did you mean --slot? (see deltaup pull --help)"},
		{"pull --od", nil, "unknown flag: --od (see deltaup pull --help)"},
		{"pull --slot", nil, "flag needs an argument: --slot (see deltaup pull --help)"},
		{"push -qo", nil, "flag needs an argument: 'o' in -o (see deltaup push --help)"},
		{"--json pull", nil, "unknown flag: --json (see deltaup --help)"},
		{"pull -z", nil, "unknown shorthand flag: 'z' in -z (see deltaup pull --help)"},
		{"pull a b", nil, "deltaup pull takes at most 1 argument(s), got 2: usage: deltaup pull [DIR] [flags]"},
		{"keys list a", nil, "deltaup keys list takes 0 argument(s), got 1: usage: deltaup keys list --keys DIR [flags]"},
		{"push", nil, "deltaup push takes 1 to 2 arguments, got 0: usage: deltaup push [flags]"},
	} {
		root, _, ran := program()
		_, err := root.Execute(t.Context(), wordsOf(c.line))
		if !slices.Equal(*ran, c.ran) {
			t.Errorf("%q ran %q, not %q", c.line, *ran, c.ran)
		}
		switch {
		case err == nil && c.err == "":
		case err == nil || err.Error() != c.err:
			t.Errorf("%q: %v, not %s", c.line, err, c.err)
		case !errors.Is(err, ErrUsage):
			t.Errorf("%q: %v is no ErrUsage", c.line, err)
		}
	}
}

// wordsOf splits a command line; ^ begins a word that may be empty.
func wordsOf(line string) []string {
	words := strings.Fields(line)
	for i := range words {
		words[i] = strings.TrimPrefix(words[i], "^")
	}
	return words
}

// TestOutput has the very bytes, which are those of cobra where cobra has the same.
func TestOutput(t *testing.T) {
	top := `Move machines

Usage:
  deltaup [command]

Available Commands:
  completion  Generate the autocompletion script for the specified shell
  help        Tell more about a command
  keys        Look after keys
  pull        Say pull [DIR]
  push        Say push

Flags:
  -h, --help      help for deltaup
  -v, --version   version for deltaup

Use "deltaup [command] --help" for more information about a command.
`
	pull := `Say pull [DIR]

Usage:
  deltaup pull [DIR] [flags]

Flags:
      --slot PATH   write to PATH
      --json        print JSON
  -h, --help        help for pull
`
	for line, want := range map[string]string{
		"--help": top, "-h": top, "help": top, "--help pull": top,
		"pull --help": pull, "pull -h a b c": pull, "help pull": pull,
		"--version": "deltaup version 1.2\n", "-v": "deltaup version 1.2\n",

		"__complete pu":             "pull\tSay pull [DIR]\npush\tSay push\n",
		"__completeNoDesc pu":       "pull\npush\n",
		"__complete keys ^":         "list\tSay list --keys DIR [flags]\n",
		"__complete pull --":        "--slot\twrite to PATH\n--json\tprint JSON\n--help\thelp for pull\n",
		"__completeNoDesc pull --j": "--json\n",
		"__complete pull ^":         "",
		"__complete nothing ^":      "",
		"__complete":                "",

		"__completeNoDesc help ^":          "completion\nhelp\nkeys\npull\npush\n",
		"__completeNoDesc help keys l":     "list\n",
		"__completeNoDesc help pull -":     "--help\n",
		"__completeNoDesc help x ^":        "",
		"__completeNoDesc pull --slot -":   "", // a value
		"__completeNoDesc pull --slot=x -": "--slot\n--json\n--help\n",
		"__completeNoDesc pull --json -":   "--slot\n--json\n--help\n",
		"__completeNoDesc pull -- -":       "", // an argument
		"__completeNoDesc push -o -":       "",
		"__completeNoDesc push -qo -":      "",
		"__completeNoDesc push -oq -":      "--help\n--output\n--quiet\n",
		"__completeNoDesc push -q -":       "--help\n--output\n--quiet\n",
		"__completeNoDesc push -é -":       "--help\n--output\n--quiet\n",
		"__completeNoDesc push - -":        "--help\n--output\n--quiet\n",
	} {
		root, out, _ := program()
		if _, err := root.Execute(t.Context(), wordsOf(line)); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		if got := out.String(); got != want {
			t.Errorf("%q prints\n%s\nnot\n%s", line, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"pull", "pull", 0}, {"pull", "pul", 1},
		{"publish", "publsh", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 2},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %d, not %d", c.a, c.b, got, c.want)
		}
	}
}
