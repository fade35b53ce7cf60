package settings

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"deltaup/internal/test/durabletest"
	"deltaup/internal/test/effort"
)

// TestCrash cuts the power at every step of a boot. No committed generation is lost, what is laid is
// the old or the new, and the next boot makes of it what it would have been without the cut.
func TestCrash(t *testing.T) {
	m := newMachine(t)
	rules := []string{"keep /etc/", "keep /etc/shadow newest"}
	m.image("a", append(rules, "/etc/f 1", "/etc/g 1", "/etc/shadow 1", "/etc/dir/a 1", "/etc/dir/b 1")...)
	m.image("b", append(rules, "/etc/f 2", "/etc/g 1", "/etc/shadow 1", "/etc/dir/a 1", "/etc/new 1")...)
	template := filepath.Join(m.dir, "template")
	crashes := func(name, image string) {
		m.down()
		m.do(m.store.Close(), os.RemoveAll(template), os.Rename(filepath.Join(m.dir, "store"), template))
		t.Run(name, func(t *testing.T) { crashAtEachStep(t, m, template, image) })
		m.do(os.RemoveAll(filepath.Join(m.dir, "store")), exec.Command("cp", "-a", template, filepath.Join(m.dir, "store")).Run())
		m.open()
	}
	m.down()
	crashes("first boot", "a")
	m.boot("a")
	crashes("nothing", "a")
	m.boot("a")
	m.edit("/etc/f mine", "/etc/mine mine", "rm /etc/dir", "/etc/shadow 2")
	crashes("changes", "a")
	m.boot("a")
	m.edit("/etc/g mine", "/etc/f more", "/etc/mine ->f")
	crashes("changes and update", "b")
	m.boot("b")
	m.edit("/etc/g on b", "/etc/shadow 3")
	crashes("changes and rollback", "a")
	m.boot("a")
	m.edit("/etc/g on a again")
	crashes("changes and forward", "b")
	m.boot("b")
	m.edit("/etc/shadow 4", "/etc/huge x")
	m.do(os.Truncate(m.root+"/etc/huge", MaxFile+1))
	m.fails = true
	crashes("too much", "b")
}

func crashAtEachStep(t *testing.T, m *machine, template, image string) {
	// restore gives the machine the store as it was before the boot.
	restore := func() {
		m.down()
		dir := filepath.Join(m.dir, "store")
		m.do(os.RemoveAll(dir), exec.Command("cp", "-a", template, dir).Run())
		m.open()
	}
	restore()
	old := laidTree(t, m)
	committed := generations(t, m)
	m.boot(image)
	new := laidTree(t, m)
	want := m.shown()
	after := want
	if m.fails { // the boot after one that failed is not like it
		m.boot(image)
		after = m.shown()
	}
	m.down()
	m.do(m.store.Close())
	steps := 0
	stride := effort.Stride()
	if stride > 1 {
		stride *= 2
	}
	for n := 1; ; n++ {
		if n%stride != 0 && n > 3 {
			continue
		}
		for _, lose := range []bool{true, false} {
			restore()
			c := durabletest.CrashAt(t, n)
			r, err := Boot(context.Background(), m.store, m.source(image))
			cut := false
			if lose {
				cut = c.Restart()
			} else {
				cut = c.Keep()
			}
			if err == nil {
				if cut && len(r.Warnings) == 0 {
					t.Errorf("step %d was lost, and nobody knows", n)
				}
				m.do(r.Close())
			}
			if !cut {
				m.do(m.store.Close())
				t.Logf("%d steps, cut at %d", n-1, steps)
				return
			}
			steps++
			if have := laidTree(t, m); have != old && have != new {
				t.Fatalf("cut at step %d: what is laid is a mixture:\n%s\nold:\n%s\nnew:\n%s", n, have, old, new)
			}
			for number, text := range committed {
				if have := generations(t, m)[number]; have != text {
					t.Fatalf("cut at step %d: generation %s is lost", n, number)
				}
			}
			m.boot(image)
			if have := m.shown(); have != want && have != after {
				t.Fatalf("cut at step %d: after the next boot there is\n%s\nwant\n%s", n, have, want)
			}
			m.down()
			m.do(m.store.Close())
		}
	}
}

// laidTree is the upper folder that is laid, as text, with the generation that it is of.
func laidTree(t *testing.T, m *machine) string {
	l, err := m.store.Laid()
	if err != nil {
		return "nothing"
	}
	upper := filepath.Join(m.dir, "store", "upper")
	dir := filepath.Join(upper, strconv.Itoa(l.Upper), "etc", "upper")
	if _, err := os.Stat(dir); err != nil { // put aside already
		dir = filepath.Join(upper, lostPrefix+strconv.Itoa(l.Upper), "etc", "upper")
	}
	var all bytes.Buffer
	err = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		all.WriteString(strings.TrimPrefix(path, dir) + " " + info.Mode().String())
		if info.Mode().IsRegular() && info.Size() < 1000 {
			p, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			all.WriteString(" " + string(p))
		}
		all.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatalf("what is laid cannot be read: %v", err)
	}
	if l.Generation > 0 {
		if _, err := m.store.Generation(l.Generation); err != nil {
			t.Fatalf("what is laid is of a generation that is not there: %v", err)
		}
	}
	return all.String()
}

// generations is the text of each generation.
func generations(t *testing.T, m *machine) map[string]string {
	all := map[string]string{}
	numbers, err := m.store.Generations()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range numbers {
		g, err := m.store.Generation(n)
		if err != nil {
			t.Fatal(err)
		}
		all[strconv.Itoa(n)] = string(g.append(nil))
		for _, e := range g.Entries {
			if e.Kind == File && !m.store.has(e.Content) {
				t.Fatalf("generation %d lacks the content of %s", n, e.Path)
			}
		}
	}
	return all
}

// shown is the running machine's /etc as text.
func (m *machine) shown() string {
	m.t.Helper()
	out, err := exec.Command("sh", "-c", "cd $0 && find . -printf '%p %M %u %l\n' -type f -exec cat {} ';' | sort", filepath.Join(m.root, "etc")).Output()
	m.do(err)
	return string(out)
}
