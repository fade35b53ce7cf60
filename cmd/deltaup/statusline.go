package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"deltaup/internal/human"
)

const (
	// lineEvery is how often a plain line tells of what takes long.
	lineEvery = 30 * time.Second
	// redrawEvery is how often a terminal's line is drawn again, though nothing else was done.
	redrawEvery = time.Second
	// measureFor is how long a step has to run before its remaining time is estimated.
	measureFor = 3 * time.Second
)

// statusLine tells how far work has come: on a terminal in a line that is overwritten, elsewhere,
// as in the journal, in a line now and then. Its zero value says nothing.
type statusLine struct {
	w        io.Writer
	terminal *os.File // nil: w is none
	prefix   string
	every    time.Duration

	mu    sync.Mutex // for the line, and whatever else is printed on its terminal
	what  string     // the step
	done  int64
	total int64
	all   *overall         // nil: the step counts
	begun map[string]start // when each step began
	shown string           // on the terminal
	timer *time.Timer      // to the next line; nil between clear and show
}

// overall is how far something has come of which the step is a part.
type overall struct {
	share float64       // from 0 to 1
	left  time.Duration // 0: not known yet
}

// start is when a step was told of first, and how far it was.
type start struct {
	at   time.Time
	done int64
}

func newStatusLine(env *Env) *statusLine {
	s := &statusLine{w: env.Stderr, prefix: "deltaup: ", every: lineEvery}
	if isTerminal(env.Stderr) {
		s.terminal, s.prefix, s.every = env.Stderr.(*os.File), "", redrawEvery
	}
	return s
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// show says how far a step has come, in bytes.
func (s *statusLine) show(what string, done, total int64) {
	if s.w == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(what, done, total)
}

// set is show with the lock held.
func (s *statusLine) set(what string, done, total int64) {
	s.all = nil
	s.update(what, done, total)
}

func (s *statusLine) update(what string, done, total int64) {
	if s.w == nil {
		return
	}
	if s.begun == nil {
		s.begun = map[string]start{}
	}
	if b, ok := s.begun[what]; !ok || done < b.done {
		s.begun[what] = start{time.Now(), done}
	}
	s.what, s.done, s.total = what, done, total
	if s.terminal != nil {
		s.draw()
	}
	if s.timer == nil {
		s.timer = time.AfterFunc(s.every, s.tick)
	}
}

func (s *statusLine) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.draw()
		s.timer.Reset(s.every)
	}
}

func (s *statusLine) draw() {
	text := s.what + ": " + s.far()
	if s.terminal == nil {
		printf(s.w, "%s%s\n", s.prefix, text)
		return
	}
	if width, _, err := term.GetSize(int(s.terminal.Fd())); err == nil && width > 8 {
		// a line that goes on in the next one cannot be overwritten
		text = human.Line(text, width-4)
	}
	if text != s.shown {
		printf(s.w, "\r\x1b[K%s", text)
		s.shown = text
	}
}

// far says how far the step, or all, has come and what is left.
func (s *statusLine) far() string {
	if s.all != nil {
		text := fmt.Sprintf("%d %% of all", int64(100*s.all.share))
		if s.all.left > 0 {
			text += fmt.Sprintf(", %v left", human.Duration(s.all.left))
		}
		return text
	}
	text := fmt.Sprintf("%d %% of %s", int64(100*float64(s.done)/float64(max(s.total, 1))),
		human.Size(s.total))
	b := s.begun[s.what]
	if left, ok := remaining(time.Since(b.at), s.done-b.done, s.total-s.done); ok {
		text += fmt.Sprintf(", %v left", human.Duration(left))
	}
	return text
}

// remaining estimates what is left of a step from what was done of it in the time that it has run.
func remaining(ran time.Duration, done, left int64) (time.Duration, bool) {
	if ran < measureFor || done <= 0 || left <= 0 {
		return 0, false
	}
	return time.Duration(float64(ran) * float64(left) / float64(done)), true
}

// clear takes the line away, so that other output can follow. The next show brings it back.
func (s *statusLine) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hide()
}

// hide is clear with the lock held.
func (s *statusLine) hide() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if s.shown != "" {
		printf(s.w, "\r\x1b[K")
		s.shown = ""
	}
}
