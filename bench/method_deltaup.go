package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
)

// deltaupMethods are deltaup's routes. All share one mirror. Their targets have the recipe of the
// old image, like machines that deltaup has updated before, except for one method, whose target
// reads the image.
func deltaupMethods() []method {
	routes := []struct{ id, name, settings, route string }{
		{"deltaup", "deltaup", "pull --bandwidth --rtt: the quickest route for the line", ""},
		{
			firstUpdate,
			"deltaup, first update",
			"the same, on a machine that keeps nothing of an earlier one",
			"",
		},
		{"deltaup-bytes", "deltaup, fewest bytes", "pull --optimize bytes", ""},
		{"deltaup-chunks", "deltaup, chunks only", "pull --route chunks", "chunks"},
		{
			"deltaup-blocks",
			"deltaup, stored blocks",
			"pull --route blocks: nothing is compressed again",
			"blocks",
		},
		{"deltaup-whole", "deltaup, whole image", "pull --route whole", "whole"},
	}
	var all []method
	for i, r := range routes {
		m := method{
			id:       r.id,
			name:     r.name,
			of:       "image",
			settings: r.settings,
			route:    r.route,
			seed:     copyState,
			pull:     pullWith(r.id, r.route),
		}
		if r.id == firstUpdate {
			m.seed = nil
		}
		if i == 0 {
			m.publish = publishMirror
		} else {
			m.shares = routes[0].id
		}
		all = append(all, m)
	}
	return all
}

// firstUpdate is the id of the method whose target has no state.
const firstUpdate = "deltaup-first"

// publishMirror publishes both images. It counts the second one, with its patch set. It leaves the
// state that targets have beside the mirror.
func publishMirror(ctx context.Context, p *publisher) error {
	for version, h := range []*host{p.aside(), &p.host} {
		args := p.deltaup.publish(p.dir, version+1, p.file("image", version))
		if err := h.run(ctx, p.deltaup.path, args...); err != nil {
			return err
		}
	}
	return p.aside().
		run(ctx, p.deltaup.path, p.deltaup.command("plan", p.dir, "--version", "1", "--optimize", "bytes",
			"--seed", p.file("image", 0), "--state", keptState(p.dir))...)
}

// keptState is the folder with the state that targets have, beside the mirror.
func keptState(mirror string) string { return mirror + ".kept" }

// copyState copies the kept state to a target.
func copyState(ctx context.Context, t *target) error {
	aside := host{dir: t.dir}
	return aside.run(ctx, "cp", "-a", keptState(t.kept), t.state())
}

// state is a target's state folder.
func (t *target) state() string { return filepath.Join(t.dir, "state") }

// publish is the command line that publishes an image as a numbered release.
func (d deltaup) publish(mirror string, version int, image string) []string {
	return d.command("publish", "--cache", "none", "--mirror", mirror, "--version", fmt.Sprint(version), image)
}

// pullWith gives the pull of a method that is held to a route.
func pullWith(id, route string) func(context.Context, *target) error {
	return func(ctx context.Context, t *target) error {
		args := t.deltaup.command("pull", t.url, "--seed", t.old(), "--slot", t.out, "--state",
			t.state(), "--json")
		switch {
		case route != "":
			args = append(args, "--route", route)
		case id == "deltaup-bytes":
			args = append(args, "--optimize", "bytes")
		default:
			args = append(args, t.line.flags()...)
		}
		out, err := t.output(ctx, t.deltaup.path, args...)
		if err != nil {
			return err
		}
		result, err := lastEvent(out)
		t.route = result.Route
		return err
	}
}

// pullEvent has the members that the bench reads from a line of pull --json and plan --json.
type pullEvent struct {
	Event    string  `json:"event"`
	Route    string  `json:"route"`
	Bytes    int64   `json:"bytes"`
	Requests int     `json:"requests"`
	Seconds  float64 `json:"seconds"`
}

// lastEvent reads the result of pull --json.
func lastEvent(out []byte) (e pullEvent, err error) {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if err = json.Unmarshal(lines[len(lines)-1], &e); err != nil {
		return e, fmt.Errorf("deltaup: its output: %w", err)
	}
	if e.Event != "result" || e.Route == "" {
		return e, fmt.Errorf("deltaup: its last event is %q", e.Event)
	}
	return e, nil
}

// plan asks deltaup's planner which route it takes on a line.
func (t *target) plan(ctx context.Context, line Line) (pullEvent, error) {
	args := t.deltaup.command("plan", t.url, "--seed", t.old(), "--state", t.state(), "--json")
	out, err := t.output(ctx, t.deltaup.path, append(args, line.flags()...)...)
	if err != nil {
		return pullEvent{}, err
	}
	var e pullEvent
	if err := json.Unmarshal(out, &e); err != nil || e.Route == "" {
		return e, fmt.Errorf("deltaup plan: its output is %.100q: %w", out, err)
	}
	return e, nil
}
