package publish

import (
	"testing"
	"time"
)

// TestWorkLeft estimates over all sets: by the sizes that are known in advance, then by those that
// making a set tells, and by the time that went by, whatever it was spent on.
func TestWorkLeft(t *testing.T) {
	now := time.Unix(1e9, 0)
	var got Progress
	w := newWork(func(p Progress) { got = p })
	w.now = func() time.Time { return now }
	w.expect("image from 2", 100)
	w.expect("image from 1", 300)
	w.expect("initrd from 2", 100)
	check := func(what string, set int, left time.Duration) {
		t.Helper()
		if got.Set != set || got.Sets != 3 || got.Left != left {
			t.Errorf("%s: set %d of %d, %v left; want %d of 3, %v", what, got.Set, got.Sets, got.Left, set, left)
		}
	}
	tell := w.progress(StagePatch, "image from 2")
	now = now.Add(time.Second)
	tell(50, 100)
	check("too early", 1, 0)
	now = now.Add(9 * time.Second)
	tell(100, 100)
	check("a fifth is done", 1, 40*time.Second)
	prove := w.progress(StageProve, "image from 2")
	now = now.Add(10 * time.Second)
	prove(7, 70)
	check("applying takes time too", 1, 80*time.Second)
	w.finished("image from 2")
	tell = w.progress(StagePatch, "image from 1")
	tell(0, 800) // more than was thought
	check("a set is larger", 2, 180*time.Second)
	w.finished("image from 1") // it could not be made
	now = now.Add(70 * time.Second)
	tell = w.progress(StagePatch, "initrd from 2")
	tell(0, 100)
	check("the last begins", 3, 10*time.Second)
	tell(100, 100)
	check("all is done", 3, 0)
}
