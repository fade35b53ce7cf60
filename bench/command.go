package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is the time and memory that commands took.
type Usage struct {
	Wall time.Duration `json:"wall_ns"`
	CPU  time.Duration `json:"cpu_ns"` // user and system time, with children
	// peak resident bytes of the largest process; 0: unknown
	Memory int64 `json:"peak_bytes"`
}

// add adds a command that ran after the others.
func (u *Usage) add(v Usage) {
	u.Wall += v.Wall
	u.CPU += v.CPU
	u.Memory = max(u.Memory, v.Memory)
}

// host is a place where commands run: a publisher, or a target with its network and CPU.
type host struct {
	dir    string   // working folder
	prefix []string // puts a command into the host's network namespace and control group
	env    []string // added to this process's environment
	used   Usage
}

// run runs a command in the host's folder and adds its usage.
func (h *host) run(ctx context.Context, name string, args ...string) error {
	_, err := h.output(ctx, name, args...)
	return err
}

// output is run, and returns the command's standard output.
func (h *host) output(ctx context.Context, name string, args ...string) ([]byte, error) {
	argv := append([]string{}, h.prefix...)
	peak := ""
	// GNU time measures the peak, since a child of this process would begin with the peak of this
	// one
	if timePath != "" {
		f, err := os.CreateTemp("", "deltaup-bench-*.peak")
		if err != nil {
			return nil, err
		}
		peak = f.Name()
		defer os.Remove(peak)
		if err := f.Close(); err != nil {
			return nil, err
		}
		argv = append(argv, timePath, "-q", "-f", "%M", "-o", peak)
	}
	cmd := h.command(ctx, append(append(argv, name), args...))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	u := Usage{Wall: time.Since(start)}
	if s := cmd.ProcessState; s != nil {
		u.CPU = s.UserTime() + s.SystemTime()
	}
	if peak != "" {
		u.Memory = readPeak(peak)
	}
	h.used.add(u)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("%s: %w%s", filepath.Base(name), err, lastLine(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// command makes a command in the host's folder. It is killed with the context, and its whole group
// is, so that no wrapper's child stays behind.
func (h *host) command(ctx context.Context, argv []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), h.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// cut runs a command and kills it at the first line of its output that enough says so of. It gives
// what the command took until then, without its memory. A command that ends before fails.
func (h *host) cut(ctx context.Context, enough func(line []byte) bool, name string,
	args ...string) (Usage, error) {
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	cmd := h.command(ctx, append(append(append([]string{}, h.prefix...), name), args...))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return Usage{}, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return Usage{}, err
	}
	var u Usage
	lines := bufio.NewScanner(out)
	for u.Wall == 0 && lines.Scan() {
		if enough(lines.Bytes()) {
			u.Wall = time.Since(start)
			kill()
		}
	}
	err = cmd.Wait() // of a command that was killed it says so
	if u.Wall == 0 {
		why := "well"
		if err != nil {
			why = err.Error()
		}
		return u, fmt.Errorf("%s: it ended before it was to be cut off: %s%s", filepath.Base(name),
			why, lastLine(stderr.Bytes()))
	}
	u.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return u, nil
}

// timePath is the path of GNU time, or "".
var timePath = func() string {
	path, err := exec.LookPath("time")
	if err != nil {
		return ""
	}
	return path
}()

// readPeak reads the peak that GNU time wrote, in KiB. It returns bytes.
func readPeak(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	kib, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

// lastLine is the last line that a failed command wrote.
func lastLine(stderr []byte) string {
	lines := strings.Split(strings.TrimSpace(string(stderr)), "\n")
	last := lines[len(lines)-1]
	if last == "" {
		return ""
	}
	return ": " + last[:min(len(last), 300)]
}
