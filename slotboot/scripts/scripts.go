// Package scripts runs the programs in a folder, such as health checks and hooks: one after the
// other in the order of their names, each with a time limit. It keeps the end of what each printed.
package scripts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Timeout is how long one program may take.
const Timeout = 2 * time.Minute

// maxOutput is how much of the end of a program's output is kept.
const maxOutput = 4 << 10

// Result is what one program did.
type Result struct {
	Path   string
	Err    error  // nil: it ended with exit status 0
	Output string // the end of what it printed, on both streams
}

// Run runs all executable files in a folder that are not hidden, with env beside the environment of
// this process. It runs all of them, even after one has failed. A missing folder has none. The
// error is not for failures of programs: a Result has those.
func Run(ctx context.Context, dir string, env []string, timeout time.Duration) ([]Result, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path) // a link to a program is one
		if err != nil || strings.HasPrefix(e.Name(), ".") || !info.Mode().IsRegular() ||
			info.Mode()&0o111 == 0 {
			continue
		}
		r := Result{Path: path}
		r.Output, r.Err = runOne(ctx, path, env, timeout)
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
		results = append(results, r)
	}
	return results, nil
}

// runOne runs a program in a process group of its own. When the time is over all of the group ends.
func runOne(ctx context.Context, path string, env []string, timeout time.Duration) (string, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var out tail
	cmd := exec.CommandContext(limited, path)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second // for children that hold our pipes
	err := cmd.Run()
	if limited.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("not done within %v", timeout)
	}
	return out.String(), err
}

// Failed is the first result that is a failure, nil when there is none.
func Failed(results []Result) *Result {
	for i := range results {
		if results[i].Err != nil {
			return &results[i]
		}
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if extra := len(t.b) - maxOutput; extra > 0 {
		t.b = append(t.b[:0], t.b[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.b)) }
