//go:build !target

package main

import (
	"fmt"
	"io"
	"math"
	"time"

	"deltaup/apply"
	"deltaup/internal/human"
	"deltaup/mirror"
	"deltaup/mirror/publish"
)

// publishReporter tells people or programs how publishing goes.
type publishReporter struct {
	env    *Env
	o      *publishOptions
	status *statusLine
	json   *jsonReporter // nil: for people
}

func newPublishReporter(env *Env, o *publishOptions) *publishReporter {
	r := &publishReporter{env: env, o: o, status: &statusLine{}}
	switch {
	case o.json:
		r.json = &jsonReporter{out: newJSON(env.Stdout)}
	case !o.quiet:
		r.status = newStatusLine(env)
	}
	return r
}

func (r *publishReporter) progress(p publish.Progress) {
	if r.json != nil {
		r.json.publishing(p)
		return
	}
	if p.Set == 0 {
		r.status.show(publishSteps[p.Stage], p.Done, p.Total)
		return
	}
	r.status.showAll(fmt.Sprintf("patch set %d of %d, %s, %s", p.Set, p.Sets, p.Of,
		publishSteps[p.Stage]), p.Share, p.Left)
}

// publishing prints progress as event does, with which patch set it is and how far all have come.
// It always prints that they are made.
func (j *jsonReporter) publishing(p publish.Progress) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.due(apply.Event{Stage: apply.Stage(p.Stage), Of: p.Of, Done: p.Done, Total: p.Total}) &&
		p.Share < 1 {
		return
	}
	var share *float64
	if p.Set > 0 {
		rounded := math.Floor(p.Share*1e4) / 1e4 // 1 is the end
		share = &rounded
	}
	j.print(struct {
		Event string        `json:"event"`
		Stage publish.Stage `json:"stage"`
		Of    string        `json:"of,omitempty"`
		Done  int64         `json:"done"`
		Total int64         `json:"total"`
		Set   int           `json:"set,omitempty"`
		Sets  int           `json:"sets,omitempty"`
		Share *float64      `json:"share,omitempty"`
		Left  float64       `json:"seconds_left,omitempty"`
	}{"progress", p.Stage, p.Of, p.Done, p.Total, p.Set, p.Sets, share,
		p.Left.Round(time.Second).Seconds()})
}

func (r *publishReporter) failed(err error) error {
	r.status.clear()
	return err
}

func (r *publishReporter) warn(text string) {
	if r.json != nil {
		r.json.event(apply.Event{Warning: text})
		return
	}
	r.status.clear()
	warn(r.env.Stderr, text)
}

func (r *publishReporter) published(done *publish.Result) {
	r.status.clear()
	for _, w := range done.Warnings {
		r.warn(w)
	}
	switch {
	case r.json != nil:
		r.json.print(publishedJSON(r.o, done))
	case !r.o.quiet:
		printPublished(r.env.Stdout, r.o, done)
	}
}

// jsonPatch is a patch set as programs read of it.
type jsonPatch struct {
	Artifact string  `json:"artifact"`
	From     string  `json:"from"`
	Size     int64   `json:"size"`
	Contents int     `json:"contents"`
	Seconds  float64 `json:"seconds"`
}

// publishedJSON is the result as programs read it; its fields are documented in doc/mirror.md.
func publishedJSON(o *publishOptions, done *publish.Result) any {
	patches := []jsonPatch{}
	for _, p := range done.Patches {
		patches = append(patches,
			jsonPatch{p.Artifact, p.From, p.Size, p.Contents, p.Time.Seconds()})
	}
	return struct {
		Event     string      `json:"event"`
		Version   string      `json:"version"`
		Channel   string      `json:"channel,omitempty"`
		Existed   bool        `json:"existed"`
		Moved     bool        `json:"moved"`
		Chunks    int         `json:"chunks"`
		NewChunks int         `json:"new_chunks"`
		NewPacks  int         `json:"new_packs"`
		NewBytes  int64       `json:"new_bytes"`
		Patches   []jsonPatch `json:"patches"`
	}{"result", done.Release.Version, o.channel, done.Existed, done.Moved, done.Chunks, done.NewChunks, done.NewPacks, done.NewBytes, patches}
}

// publishSteps is how people are told of a step.
var publishSteps = map[publish.Stage]string{
	publish.StageHash:   "hashing the files",
	publish.StageVerify: "reading the image",
	publish.StageBuild:  "building the image again",
	publish.StageStore:  "storing new chunks",

	publish.StageSearch:   "looking for bases",
	publish.StagePatch:    "making patches",
	publish.StageCompress: "compressing patches",
	publish.StageProve:    "applying it",
}

func printPublished(w io.Writer, o *publishOptions, done *publish.Result) {
	version := done.Release.Version
	if done.Existed {
		printf(w, "version %s: on the mirror already, with the same bytes\n", version)
	} else {
		printf(w, "version %s: %s of %s chunks are new, in %s (%s)\n", version, human.Comma(done.NewChunks),
			human.Comma(done.Chunks), count(done.NewPacks, "pack"), human.Size(done.NewBytes))
		for _, a := range done.Release.Artifacts {
			printf(w, "  %s: %s, %s, blake3 %s\n", a.Name, a.Kind, human.Size(a.Size), a.ID)
		}
		printPatches(w, done.Patches)
	}
	switch {
	case o.channel == "":
	case done.Moved:
		printf(w, "channel %s: now points to %s\n", o.channel, version)
	default:
		printf(w, "channel %s: pointed to %s already\n", o.channel, version)
	}
}

// printPatches tells what each patch set has, and what making them took.
func printPatches(w io.Writer, patches []publish.PatchStats) {
	for _, p := range patches {
		what := "patch"
		if p.Artifact != mirror.ImageName {
			what = p.Artifact + " patch"
		}
		printf(w, "  %s from %s: %s for %s, in %s", what, p.From, human.Size(p.Size),
			count(p.Contents, "file"), human.Duration(p.Time))
		if peak, ok := peakMemory(); ok {
			printf(w, " and at most %s of memory", human.Size(peak))
		}
		printf(w, "\n")
	}
}

// showAll is show of a step that is a part of something: how far that has come, from 0 to 1, and
// how much time is left of it; 0: not known yet.
func (s *statusLine) showAll(what string, share float64, left time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = &overall{share, left}
	s.update(what, 0, 0)
}
