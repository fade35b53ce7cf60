package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"deltaup/apply"
	"deltaup/internal/human"
)

// reporter tells people or programs how a pull goes. event may be called by several goroutines.
type reporter interface {
	quote(apply.Quote)
	event(apply.Event)
	result(apply.Result)
	// failed makes room for what is printed of an error, which it returns.
	failed(err error) error
	close()
}

func newReporter(env *Env, o *pullOptions) reporter {
	switch {
	case o.planOnly:
		return &planReporter{textReporter{out: env.Stdout, err: env.Stderr}, o.json}
	case o.json:
		return &jsonReporter{out: newJSON(env.Stdout)}
	case o.quiet:
		return quietReporter{}
	case isTerminal(env.Stdout):
		return newTerminalReporter(env)
	}
	return newTextReporter(env)
}

// quietReporter leaves everything to the exit message.
type quietReporter struct{}

func (quietReporter) quote(apply.Quote)      {}
func (quietReporter) event(apply.Event)      {}
func (quietReporter) result(apply.Result)    {}
func (quietReporter) failed(err error) error { return err }
func (quietReporter) close()                 {}

// jsonReporter prints one object a line: an "event" beside the fields of apply.Quote,
// apply.Event and apply.Result. An error is the last one, and run's.
type jsonReporter struct {
	mu   sync.Mutex
	out  *json.Encoder
	last time.Time
	at   apply.Event // the last one that was printed
}

// progressEvery bounds what a program has to read.
const progressEvery = 500 * time.Millisecond

func (j *jsonReporter) print(v any) {
	// An unreadable stdout is no reason to stop an update.
	_ = j.out.Encode(v)
}

func (j *jsonReporter) quote(q apply.Quote) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.print(struct {
		Event string `json:"event"`
		apply.Quote
		Seconds float64 `json:"seconds"`
	}{"quote", q, q.Time.Seconds()})
}

func (j *jsonReporter) event(e apply.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e.Warning != "" {
		j.print(struct {
			Event   string `json:"event"`
			Message string `json:"message"`
		}{"warning", e.Warning})
		return
	}
	if !j.due(e) {
		return
	}
	j.print(struct {
		Event string      `json:"event"`
		Stage apply.Stage `json:"stage"`
		Of    string      `json:"of,omitempty"`
		Done  int64       `json:"done"`
		Total int64       `json:"total"`
	}{"progress", e.Stage, e.Of, e.Done, e.Total})
}

// due tells whether progress is to be printed, with the lock held.
func (j *jsonReporter) due(e apply.Event) bool {
	if same := e.Stage == j.at.Stage && e.Of == j.at.Of; time.Since(j.last) < progressEvery &&
		(same || e.Done < e.Total) {
		return false
	}
	j.last, j.at = time.Now(), e
	return true
}

func (j *jsonReporter) result(r apply.Result) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.print(struct {
		Event string `json:"event"`
		apply.Result
		Seconds float64 `json:"seconds"`
	}{"result", r, r.Time.Seconds()})
}

func (j *jsonReporter) failed(err error) error { return err }
func (j *jsonReporter) close()                 {}

// textReporter prints a few plain lines. The line's lock is held for all of them.
type textReporter struct {
	out  io.Writer
	err  io.Writer
	line statusLine // of the stage that is under way
}

func newTextReporter(env *Env) *textReporter {
	t := &textReporter{out: env.Stdout, err: env.Stderr}
	t.line.w, t.line.every = env.Stdout, lineEvery
	return t
}

func (t *textReporter) quote(q apply.Quote) {
	t.line.mu.Lock()
	defer t.line.mu.Unlock()
	if q.Current {
		printf(t.out, "release %s: the slot already holds it\n", q.Version)
		if q.Requests == 0 {
			return
		}
	}
	printf(t.out, "release %s: %s to fetch in %s, about %s (%s); the image has %s\n", q.Version,
		human.Size(q.Bytes), count(q.Requests, "request"), human.Duration(q.Time), routes[q.Route],
		human.Size(q.ImageSize))
	if q.Notes != "" {
		printf(t.out, "notes: %s\n", q.Notes)
	}
	if q.KernelArguments != "" {
		printf(t.out, "kernel arguments that the publisher wants: %s\n", q.KernelArguments)
	}
	printf(t.out,
		"chunks: %d from the seeds, %d from earlier runs, %d to fetch; metadata: %s in %s\n",
		q.ChunksHave, q.ChunksCached, q.ChunksFetch, human.Size(q.MetaBytes),
		count(q.MetaRequests, "request"))
	if q.WholeFiles {
		printf(t.out, "the server sends whole files: what is needed of one costs all of it\n")
	}
}

// routes says what apply.Quote's routes mean.
var routes = map[string]string{
	"patch":  "by patches",
	"chunks": "by chunks",
	"blocks": "by stored blocks",
	"whole":  "the whole image",
	"none":   "no image",
}

func (t *textReporter) event(e apply.Event) {
	t.line.mu.Lock()
	defer t.line.mu.Unlock()
	if e.Warning != "" {
		if t.line.terminal != nil {
			t.line.hide() // most likely the same screen
		}
		warn(t.err, e.Warning)
		return
	}
	t.line.set(stageName(e), e.Done, e.Total)
}

// stageName is how people are told of a stage: "seed /dev/sda2", "fetch", "verify image".
func stageName(e apply.Event) string {
	if e.Of == "" {
		return string(e.Stage)
	}
	return string(e.Stage) + " " + e.Of
}

func (t *textReporter) result(r apply.Result) {
	t.line.mu.Lock()
	defer t.line.mu.Unlock()
	t.line.hide()
	if r.Route == "none" && r.Current {
		return
	}
	printf(t.out,
		"release %s: done in %s: %s fetched in %s, image of %s; blocks: %d copied, %d compressed\n",
		r.Version, human.Duration(r.Time), human.Size(r.BytesFetched), count(r.Requests, "request"),
		human.Size(r.ImageSize), r.BlocksCopied, r.BlocksCompressed)
}

func (t *textReporter) failed(err error) error {
	t.line.clear()
	return err
}

func (t *textReporter) close() { t.line.clear() }
