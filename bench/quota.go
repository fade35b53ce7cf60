package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// quota is a control group whose processes get a share of one core.
type quota struct {
	dir string
}

// quotaPeriod is the period, in microseconds, in which the kernel deals out the share. A short one
// makes a slow core, not one that stops now and then.
const quotaPeriod = 20_000

// newQuota makes a group with a share of one core, with version 2 of control groups or version 1.
func newQuota(share float64) (*quota, error) {
	us := strconv.Itoa(int(share * quotaPeriod))
	period := strconv.Itoa(quotaPeriod)
	var errs []error
	for _, version := range []struct {
		root     string
		settings [][2]string
	}{
		{"/sys/fs/cgroup", [][2]string{{"cpu.max", us + " " + period}}},
		{"/sys/fs/cgroup/cpu", [][2]string{{"cpu.cfs_period_us", period}, {"cpu.cfs_quota_us", us}}},
	} {
		q, err := makeGroup(version.root, version.settings)
		if err == nil {
			return q, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// makeGroup makes a group below root, a file system of control groups with the controller of the
// settings.
func makeGroup(root string, settings [][2]string) (*quota, error) {
	if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
		return nil, fmt.Errorf("control group: %w", err)
	}
	q := &quota{filepath.Join(root, fmt.Sprintf("deltaup-bench-%d", os.Getpid()))}
	if err := os.Mkdir(q.dir, 0o755); err != nil {
		return nil, fmt.Errorf("control group: %w", err)
	}
	for _, s := range settings {
		// Without O_CREATE, so that a missing controller does not become a file.
		f, err := os.OpenFile(filepath.Join(q.dir, s[0]), os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString(s[1])
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("control group: %w", err), q.remove())
		}
	}
	return q, nil
}

// remove removes the group, which must be empty.
func (q *quota) remove() error { return os.Remove(q.dir) }

// prefix is the prefix of commands that run in the group.
func (q *quota) prefix() []string {
	return []string{"sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, q.dir}
}

// version says what enforces the quota, for the report.
func (q *quota) version() string {
	if strings.HasPrefix(q.dir, "/sys/fs/cgroup/cpu/") {
		return "control group v1, cpu.cfs_quota_us"
	}
	return "control group v2, cpu.max"
}
