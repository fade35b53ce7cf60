package main

import (
	"context"
	"io"
	"text/tabwriter"

	"deltaup/apply"
	"deltaup/internal/command"
	"deltaup/internal/human"
)

func newPlanCommand(env *Env) *command.Command {
	o := pullOptions{planOnly: true}
	cmd := &command.Command{
		Use:   "plan MIRROR... [--seed PATH]... [flags]",
		Short: "Say how a pull would go, and why not otherwise",
		Long: `Plan takes the arguments of pull, of which --slot can be left out, and prints
every route to the release: what it takes in bytes, requests and time, and why
each but one is not taken. Bytes and requests of the chosen route are exact;
"about" marks what only the release file tells. What plan fetches for that, the
metadata, a pull with the same --slot and --state does not fetch again.`,
		Run: func(ctx context.Context, args []string) error {
			o.mirrors = append(args, o.mirrors...)
			return runPull(ctx, env, &o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	o.addSourceFlags(f)
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	o.addLineFlags(f)
	return cmd
}

// planReporter prints a quote with all alternatives.
type planReporter struct {
	textReporter
	json bool
}

func (p *planReporter) event(e apply.Event) {
	if e.Warning != "" {
		p.textReporter.event(e)
	}
}

func (p *planReporter) quote(q apply.Quote) {
	if p.json {
		_ = newJSON(p.out).Encode(planJSON(q)) // an unreadable stdout is nothing to report there
		return
	}
	p.textReporter.quote(q)
	if len(q.Alternatives) == 0 {
		return
	}
	printf(p.out, "\n")
	printAlternatives(p.out, q)
}

// jsonAlternative is a route as programs read it.
type jsonAlternative struct {
	Route    string  `json:"route"`
	Chosen   bool    `json:"chosen"`
	Exact    bool    `json:"exact"`
	Bytes    int64   `json:"bytes"`
	Requests int     `json:"requests"`
	Seconds  float64 `json:"seconds"`
	Why      string  `json:"why,omitempty"`
}

// planJSON is a quote as programs read it; its fields are documented in doc/pull.md.
func planJSON(q apply.Quote) any {
	routes := []jsonAlternative{}
	for _, a := range q.Alternatives {
		routes = append(
			routes,
			jsonAlternative{
				string(a.Route),
				a.Chosen,
				a.Exact,
				a.Bytes,
				a.Requests,
				a.Time.Seconds(),
				a.Why,
			},
		)
	}
	return struct {
		apply.Quote
		Seconds float64           `json:"seconds"`
		Routes  []jsonAlternative `json:"routes"`
	}{q, q.Time.Seconds(), routes}
}

// printAlternatives prints a table of the routes.
func printAlternatives(out io.Writer, q apply.Quote) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.DiscardEmptyColumns)
	printf(w, "route\tsize\trequests\ttime\t\t\n")
	for _, a := range q.Alternatives {
		about := "about "
		if a.Exact {
			about = ""
		}
		why := "  not taken: " + a.Why
		if a.Chosen {
			why = "  taken"
		}
		if a.Requests == 0 && a.Bytes == 0 && !a.Exact {
			printf(w, "%s\t-\t-\t-\t\t%s\n", a.Route, why)
			continue
		}
		printf(w, "%s\t%s%s\t%d\t%v\t\t%s\n", a.Route, about, human.Size(a.Bytes), a.Requests,
			human.Duration(a.Time), why)
	}
	_ = w.Flush() // nor is this
}
