package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// method is a way to bring a target from the old release to the new one.
type method struct {
	id       string
	name     string
	of       string   // what is transferred: image, tar or tree
	settings string   // how the tool is used, for the report
	needs    []string // programs
	shares   string   // id of the method whose preparation it uses; "": its own
	slow     bool     // left out of a quick run
	long     bool     // its preparation is long, and begins before the others'
	skip     string   // why it is not run at all; ""
	route    string   // deltaup: the route that it is held to; "": what the planner takes

	// publish makes what the server keeps, in p.dir; before calls that are not counted use p.aside.
	publish func(ctx context.Context, p *publisher) error
	// seed makes what the target has from its last update besides old image and tar; nil: nothing.
	seed func(ctx context.Context, t *target) error
	// pull makes t.out from what the target has and what the server gives.
	pull func(ctx context.Context, t *target) error
	// check says what is wrong with the result; nil: t.out must have the hash of the new image or
	// tar.
	check func(ctx context.Context, t *target) error
}

// publisher is where a method's preparation runs: [host.run] is counted, aside is not.
type publisher struct {
	host
	subject *Subject
	deltaup deltaup
	quick   bool
}

// aside is a host beside p whose usage nobody counts.
func (p *publisher) aside() *host { return &host{dir: p.dir} }

// file is the old (0) or new (1) image or tar.
func (p *publisher) file(of string, version int) string { return p.subject.file(of, version) }

// target is where an update runs.
type target struct {
	host
	subject *Subject
	deltaup deltaup
	of      string
	kept    string // what the method's publish left for targets: state of the last update
	url     string // of the method's folder
	rsync   string // of the method's folder
	line    Line   // that deltaup is told of
	out     string // the result
	route   string // deltaup: the route that was taken
}

// old is what the target has.
func (t *target) old() string { return t.subject.file(t.of, 0) }

// curl fetches a file of the method's folder to the target's folder.
func (t *target) curl(ctx context.Context, name string) error {
	return t.run(ctx, "curl", "--silent", "--show-error", "--fail", "--output", name,
		t.url+"/"+name)
}

// missing names the programs that a method lacks.
func (m *method) missing() []string {
	var missing []string
	for _, name := range m.needs {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	return missing
}

// preparation is the id of the method whose preparation m uses.
func (m *method) preparation() string {
	if m.shares != "" {
		return m.shares
	}
	return m.id
}

// deltaup is the program under test.
type deltaup struct {
	path     string
	insecure map[string]bool // commands that want --insecure for a mirror that nobody signed
}

// findDeltaup looks at a deltaup binary.
func findDeltaup(ctx context.Context, path string) (deltaup, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return deltaup{}, err
	}
	d := deltaup{abs, map[string]bool{}}
	for _, command := range []string{"publish", "plan", "pull"} {
		help, err := exec.CommandContext(ctx, abs, command, "--help").Output()
		if err != nil {
			return deltaup{}, fmt.Errorf("%s %s: %w", path, command, err)
		}
		d.insecure[command] = strings.Contains(string(help), "--insecure")
	}
	return d, nil
}

// command is a command line of deltaup for a mirror that nobody signed.
func (d deltaup) command(name string, args ...string) []string {
	args = append([]string{name}, args...)
	if d.insecure[name] {
		args = append(args, "--insecure")
	}
	return args
}

// powerOfTwo is the smallest power of two that is at least n.
func powerOfTwo(n int64) int64 {
	p := int64(1)
	for p < n {
		p <<= 1
	}
	return p
}

// sizeOf is a file's size, or 0.
func sizeOf(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}
