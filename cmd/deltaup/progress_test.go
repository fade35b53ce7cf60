//go:build !target

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"

	"deltaup/apply"
	"deltaup/mirror/publish"
)

// TestStatusLineElsewhere: where there is no terminal, a line comes now and then, also while
// nothing is heard of.
func TestStatusLineElsewhere(t *testing.T) {
	in, out := io.Pipe()
	s := &statusLine{w: out, prefix: "deltaup: ", every: 2 * time.Millisecond}
	s.show("matching\n\x1b", 0, 4000)
	s.show("matching\n\x1b", 1000, 4000)
	lines := bufio.NewScanner(in)
	for range 3 {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), "deltaup: matching : 25 % of 4.0 kB") {
			t.Fatalf("%q, %v", lines.Text(), lines.Err())
		}
	}
	go func() { _, _ = io.Copy(io.Discard, in) }() // a line may be on its way
	s.clear()
	s.w = failWriter{t}
	time.Sleep(20 * time.Millisecond)
}

type failWriter struct{ t *testing.T }

func (w failWriter) Write(p []byte) (int, error) {
	w.t.Errorf("%q after the end", p)
	return len(p), nil
}

// TestStatusLineTerminal: a terminal's line is overwritten when something changed, and goes away.
func TestStatusLineTerminal(t *testing.T) {
	var out bytes.Buffer
	s := &statusLine{w: &out, terminal: os.Stdin, every: time.Hour}
	for _, done := range []int64{0, 1, 1, 50, 50} {
		s.show("reading", done, 100)
	}
	s.clear()
	s.clear()
	want := "\r\x1b[Kreading: 0 % of 100 B\r\x1b[Kreading: 1 % of 100 B\r\x1b[Kreading: 50 % of 100 B\r\x1b[K"
	if out.String() != want {
		t.Errorf("%q", out.String())
	}
}

// TestPublishProgress tells people and programs how far all patch sets have come.
func TestPublishProgress(t *testing.T) {
	var out bytes.Buffer
	p := publish.Progress{Stage: publish.StagePatch, Of: "image from 12", Done: 43e6, Total: 100e6, Set: 2, Sets: 5, Share: 0.61239, Left: 82 * time.Second}
	people := &publishReporter{status: &statusLine{w: &out, terminal: os.Stdin, every: time.Hour}}
	people.progress(p)
	p.Left = 0
	people.progress(p)
	people.progress(publish.Progress{Stage: publish.StageHash, Done: 1, Total: 2})
	people.status.clear()
	want := "\r\x1b[Kpatch set 2 of 5, image from 12, making patches: 61 % of all, 1m22s left" +
		"\r\x1b[Kpatch set 2 of 5, image from 12, making patches: 61 % of all\r\x1b[Khashing the files: 50 % of 2 B\r\x1b[K"
	if out.String() != want {
		t.Errorf("%q", out.String())
	}
	out.Reset()
	programs := &publishReporter{json: &jsonReporter{out: newJSON(&out)}}
	p.Left = 82 * time.Second
	programs.progress(p)
	programs.progress(p)
	p.Share, p.Left = 1, 0
	programs.progress(p)
	want = `{"event":"progress","stage":"patch","of":"image from 12","done":43000000,"total":100000000,"set":2,"sets":5,"share":0.6123,"seconds_left":82}` + "\n" +
		`{"event":"progress","stage":"patch","of":"image from 12","done":43000000,"total":100000000,"set":2,"sets":5,"share":1}` + "\n"
	if out.String() != want {
		t.Errorf("%q", out.String())
	}
}

func TestRemaining(t *testing.T) {
	for _, c := range []struct {
		ran        time.Duration
		done, left int64
		want       time.Duration
	}{{time.Second, 1, 9, 0}, {10 * time.Second, 0, 9, 0}, {10 * time.Second, 1, 9, 90 * time.Second}, {10 * time.Second, 10, 0, 0}, {time.Hour, 1 << 50, 1 << 50, time.Hour}} {
		if got, ok := remaining(c.ran, c.done, c.left); got != c.want || ok != (c.want > 0) {
			t.Errorf("%+v: %v, %v", c, got, ok)
		}
	}
}

// TestBarNames: no two bars have one name, and none is longer than its column.
func TestBarNames(t *testing.T) {
	b := &barReporter{textReporter: &textReporter{}, terminal: io.Discard, progress: mpb.New(mpb.WithOutput(io.Discard)), bars: map[string]*mpb.Bar{}, names: map[string]int{}}
	seen := map[string]bool{}
	for _, stage := range []string{
		"fetch", "fetch", "rebuild image", "verify image", "seed a.squashfs", "seed /slots/a.squashfs", "seed a.squashfs",
		"seed /a/very/long/path/to/another.squashfs", "seed /another/very/long/path/to/another.squashfs", "seed " + hostileText,
	} {
		name := b.name(stage)
		checkPrintable(t, "a bar's name", name)
		if seen[name] || len([]rune(name)) > maxBarName {
			t.Errorf("%q became %q", stage, name)
		}
		seen[name] = true
	}
	if !seen["fetch 2"] || !seen["seed a.squashfs 2"] || !seen["seed …another.squashfs"] {
		t.Errorf("%v", seen)
	}
	b.close()
}

// TestStageNames: each stage of a pull with two seeds is told under a name of its own, and none
// goes back.
func TestStageNames(t *testing.T) {
	memory(t)
	mirrorDir, v1, v2 := releases(t)
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	must(t, os.WriteFile(other, bytes.Repeat([]byte("other "), 1<<18), 0o644))
	code, stdout, stderr := deltaup(t, "pull", mirrorDir, "--seed", v1, "--seed", other, "--slot", filepath.Join(dir, "slot"),
		"--state", filepath.Join(dir, "state"), "--insecure", "--json", "--optimize", "bytes")
	if code != exitOK {
		t.Fatal(stderr)
	}
	sameFile(t, filepath.Join(dir, "slot"), v2)
	var names []string
	for line := range strings.Lines(stdout) {
		var e struct{ Event, Stage, Of string }
		must(t, json.Unmarshal([]byte(line), &e))
		if e.Event != "progress" {
			continue
		}
		if n := stageName(apply.Event{Stage: apply.Stage(e.Stage), Of: e.Of}); len(names) == 0 || names[len(names)-1] != n {
			names = append(names, n)
		}
	}
	for _, want := range []string{"seed " + v1, "seed " + other, "rebuild image", "verify image"} {
		if !slices.Contains(names, want) {
			t.Errorf("%q is not among %q", want, names)
		}
	}
}

// TestPublishEvents: publish tells programs of each step and each patch set, and of nothing with
// --quiet.
func TestPublishEvents(t *testing.T) {
	memory(t)
	_, v1, v2 := releases(t)
	dir := filepath.Join(t.TempDir(), "mirror")
	args := []string{"publish", "--mirror", dir, "--version"}
	if code, stdout, stderr := deltaup(t, append(args, "1", "--quiet", v1)...); code != exitOK || stdout+stderr != "" {
		t.Fatalf("exit code %d: %q, %q", code, stdout, stderr)
	}
	out := mustDeltaup(t, append(args, "2", "--json", v2)...)
	for _, want := range []string{
		`(?m)^\{"event":"progress","stage":"hash","done":[0-9]+,"total":[0-9]+\}$`,
		`(?m)^\{"event":"progress","stage":"patch","of":"image from 1","done":[0-9]+,"total":[0-9]+,"set":1,"sets":1,"share":0[0-9.]*(,"seconds_left":[0-9.e-]+)?\}$`,
		`(?m)^\{"event":"progress","stage":"prove","of":"image from 1",.*"share":1\}$`,
		`(?m)^\{"event":"result","version":"2","channel":"stable","existed":false,"moved":true,.*"patches":\[\{"artifact":"image","from":"1","size":[0-9]+,"contents":5,"seconds":[0-9.e-]+\}\]\}$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %s in %s", want, out)
		}
	}
	for line := range strings.Lines(out) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%q is no JSON", line)
		}
	}
	code, stdout, _ := deltaup(t, append(args, "2", "--json", v1)...)
	if code != exitConflict || !strings.Contains(stdout, `"event":"error","message":"publish version 2`) {
		t.Errorf("exit code %d: %s", code, stdout)
	}
	// What ends it before its first step is an event, too.
	code, stdout, _ = deltaup(t, "publish", "--json", "--mirror", v1, "--version", "3", v2)
	if code != exitUsage || !strings.HasPrefix(stdout, `{"event":"error","message":"`+v1+" is no folder") {
		t.Errorf("a file as the mirror: exit code %d: %s", code, stdout)
	}
}
