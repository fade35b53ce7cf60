package settingstest

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// BenchmarkMany measures what a boot takes with 500 files that are kept, and with none: one that
// commits them, one behind a change, and one behind none. An operation is the three, in turn; the
// program's own times of each are ms/commit, ms/change and ms/same.
func BenchmarkMany(b *testing.B) {
	for _, files := range []int{0, 500} {
		b.Run(fmt.Sprint("files=", files), func(b *testing.B) {
			m := newMachine(b)
			var commit, change, same time.Duration
			for b.Loop() {
				disk := newRecorder(b, m.dir).disk // which records nothing unless it is started
				m.timed(disk)
				m.write("many/", files)
				commit += m.timed(disk)
				m.write("many/0.conf and more ", 1)
				change += m.timed(disk)
				same += m.timed(disk)
				m.halt()
			}
			for name, sum := range map[string]time.Duration{"commit": commit, "change": change, "same": same} {
				b.ReportMetric(float64(sum.Milliseconds())/float64(b.N), "ms/"+name)
			}
		})
	}
}

// timed restarts the machine and gives the time that deltaup took.
func (m *machine) timed(disk string) time.Duration {
	m.t.Helper()
	m.halt()
	if err := m.boot(disk, 1); err != nil {
		m.t.Fatal(err)
	}
	return m.took
}

// write writes small files whose names begin alike in /etc.
func (m *machine) write(name string, count int) {
	m.t.Helper()
	if err := os.MkdirAll(m.path("root/etc/many"), 0o755); err != nil {
		m.t.Fatal(err)
	}
	for i := range count {
		if err := os.WriteFile(m.path(fmt.Sprintf("root/etc/%s%d.conf", name, i)), fmt.Append(nil, "file ", i), 0o644); err != nil {
			m.t.Fatal(err)
		}
	}
}
