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
	settings string   // how the bench uses the tool, for the report
	needs    []string // programs that must be installed
	shares   string   // id of the method whose preparation it uses; "": its own
	slow     bool     // a quick run leaves it out
	long     bool     // its preparation takes long, and begins before the others'
	skip     string   // why it does not run at all; "": it runs
	route    string   // deltaup's route; "": the planner chooses

	// publish makes what the server keeps, in p.dir. Commands that shall not count run on p.aside.
	publish func(ctx context.Context, p *publisher) error
	// seed makes what the target has from its last update, besides the old image and tar; nil:
	// nothing.
	seed func(ctx context.Context, t *target) error
	// pull makes t.out from what the target has and what the server gives.
	pull func(ctx context.Context, t *target) error
	// check says what is wrong with the result. nil: t.out must have the hash of the new image or
	// tar.
	check func(ctx context.Context, t *target) error
}

// publisher is where a method's preparation runs. What [host.run] runs counts, what runs on aside
// does not.
type publisher struct {
	host
	subject *Subject
	deltaup deltaup
	quick   bool
}

// aside is another host in p's folder, whose usage does not count.
func (p *publisher) aside() *host { return &host{dir: p.dir} }

// file is the path of the old (0) or new (1) image or tar.
func (p *publisher) file(of string, version int) string { return p.subject.file(of, version) }

// target is where an update runs.
type target struct {
	host
	subject *Subject
	deltaup deltaup
	of      string
	kept    string     // what the method's publish has left for targets: the state of the last update
	url     string     // of the method's folder
	rsync   string     // of the method's folder
	line    Line       // the line that deltaup is told
	network *namespace // nil: the loopback
	out     string     // path of the result
	route   string     // the route that deltaup took
}

// old is the path of what the target has.
func (t *target) old() string { return t.subject.file(t.of, 0) }

// curl fetches a file of the method's folder into the target's folder.
func (t *target) curl(ctx context.Context, name string) error {
	return t.run(ctx, "curl", "--silent", "--show-error", "--fail", "--output", name,
		t.url+"/"+name)
}

// missing names the programs of the method that are not installed.
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
	insecure map[string]bool // commands that need --insecure for an unsigned mirror
}

// findDeltaup finds out what a deltaup binary is.
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

// command is a command line of deltaup for an unsigned mirror.
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
