package settings

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"deltaup/internal/durable"
)

// BenchmarkBoot is a boot of a machine with 500 changed files, on an ext4 file system of its own. It
// tells how often a boot waits for the disk.
func BenchmarkBoot(b *testing.B) {
	m := newMachine(b)
	m.do(m.store.Close(), os.RemoveAll(filepath.Join(m.dir, "store")))
	disk, data := filepath.Join(m.dir, "disk"), filepath.Join(m.dir, "data")
	m.do(os.Mkdir(data, 0o700))
	for _, c := range []string{"truncate -s 256M " + disk, "mke2fs -q -t ext4 " + disk, "mount -o loop " + disk + " " + data} {
		if out, err := exec.Command("sh", "-c", c).CombinedOutput(); err != nil {
			b.Skipf("%s: %s", c, out)
		}
	}
	var err error
	m.store, err = Open(filepath.Join(data, "settings"))
	m.do(err)
	b.Cleanup(func() {
		m.down()
		m.store.Close()
		exec.Command("umount", data).Run()
	})
	lines := []string{"keep /etc/"}
	for i := range 2000 {
		lines = append(lines, fmt.Sprintf("/etc/d%02d/f%d %s", i%40, i, strings.Repeat(fmt.Sprint(i, " "), 200)))
	}
	m.image("a", lines...)
	m.image("b", append(lines, "/etc/d01/f41 changed", "/etc/d02/new new")...)
	m.boot("a")
	for i := range 500 {
		m.edit(fmt.Sprintf("/etc/d%02d/f%d %s", i%40, i, strings.Repeat(fmt.Sprint("mine ", i), 200)))
	}
	run := func(name string, image func(i int) string, before func(i int)) {
		b.Run(name, func(b *testing.B) {
			var syncs atomic.Int64
			defer durable.SetHook(func(a durable.Action) error {
				if a.Op == durable.OpSync || a.Op == durable.OpSyncAll || a.Op == durable.OpSyncFolder {
					syncs.Add(1)
				}
				return nil
			})()
			n := 0
			for b.Loop() {
				b.StopTimer()
				before(n)
				m.down()
				source := m.source(image(n))
				exec.Command("sync").Run()
				n++
				b.StartTimer()
				r, err := Boot(b.Context(), m.store, source)
				b.StopTimer()
				m.do(err, r.Failure)
				m.last = r
				for _, p := range r.Places {
					m.mount(filepath.Join(m.dir, image(n-1)), p)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(syncs.Load())/float64(n), "syncs/op")
		})
	}
	run("unchanged", func(int) string { return "a" }, func(int) {})
	run("five changed", func(int) string { return "a" }, func(n int) {
		for i := range 5 {
			m.edit(fmt.Sprintf("/etc/d%02d/f%d %d", i, i, n))
		}
	})
	// Each update is to an image that never ran.
	run("update", func(n int) string {
		name := fmt.Sprint("b", n)
		if err := os.Symlink("b", filepath.Join(m.dir, name)); err != nil && !os.IsExist(err) {
			b.Fatal(err)
		}
		return name
	}, func(int) {})
}
