package settingstest

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// manyTime is what 500 files may add to a boot.
const manyTime = 300 * time.Millisecond

// TestMany measures what 500 files that are kept add to a boot: in the boot that commits them, in
// one behind a change, and in one behind none. Each number is the least of five boots.
func TestMany(t *testing.T) {
	m := newMachine(t)
	least := map[string]map[int]time.Duration{"that commits them": {}, "behind a change": {}, "behind no change": {}}
	for range 5 {
		for _, n := range []int{0, 500} {
			disk := newRecorder(t, m.dir).disk // which records nothing unless it is started
			boot := func(kind string) {
				m.halt()
				if err := m.boot(disk, 1); err != nil {
					t.Fatal(err)
				}
				if of := least[kind]; of != nil && (of[n] == 0 || m.took < of[n]) {
					of[n] = m.took
				}
			}
			boot("")
			if err := os.Mkdir(m.path("root/etc/many"), 0o755); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if err := os.WriteFile(m.path(fmt.Sprintf("root/etc/many/%d.conf", i)), fmt.Append(nil, "file ", i), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			boot("that commits them")
			if err := edit("hosts", "x\n").do(m); err != nil {
				t.Fatal(err)
			}
			boot("behind a change")
			boot("behind no change")
			m.halt()
		}
	}
	for kind, of := range least {
		t.Logf("a boot %s: %v without, %v with 500 files: %.1f times", kind, of[0].Round(time.Millisecond), of[500].Round(time.Millisecond), float64(of[500])/float64(of[0]))
		if more := of[500] - of[0]; more > manyTime {
			t.Errorf("500 files add %v to a boot %s", more, kind)
		}
	}
}
