//go:build !target

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"deltaup/apply"
	"deltaup/internal/human"
)

// barReporter draws a bar for each stage on a terminal; lines are printed above the bars.
type barReporter struct {
	*textReporter
	terminal io.Writer
	progress *mpb.Progress
	bars     map[string]*mpb.Bar // by stageName
	names    map[string]int      // how many bars had a name
}

// newTerminalReporter is for people who look on.
func newTerminalReporter(env *Env) reporter {
	terminal := env.Stdout
	b := &barReporter{
		terminal: terminal,
		progress: mpb.New(mpb.WithOutput(terminal), mpb.WithWidth(60)),
		bars:     map[string]*mpb.Bar{},
		names:    map[string]int{},
	}
	b.textReporter = &textReporter{out: b.progress, err: env.Stderr}
	if isTerminal(env.Stderr) {
		b.err = b.progress // most likely the same screen
	}
	return b
}

func (b *barReporter) event(e apply.Event) {
	if e.Warning != "" {
		b.textReporter.event(e)
		return
	}
	b.line.mu.Lock()
	defer b.line.mu.Unlock()
	stage := stageName(e)
	bar := b.bars[stage]
	if bar == nil || bar.Completed() && e.Done < e.Total {
		bar = b.progress.AddBar(e.Total,
			mpb.PrependDecorators(
				decor.Name(b.name(stage), decor.WC{W: maxBarName, C: decor.DindentRight}),
				decor.Counters(decor.SizeB1000(0), "% .1f / % .1f", decor.WC{W: 20})),
			mpb.AppendDecorators(
				decor.AverageSpeed(decor.SizeB1000(0), "% .1f", decor.WC{W: 12}),
				decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8})))
		b.bars[stage] = bar
	}
	bar.SetTotal(e.Total, false)
	bar.SetCurrent(e.Done)
	if e.Done >= e.Total {
		bar.SetTotal(e.Total, true)
	}
}

// maxBarName is how many characters a bar's name has.
const maxBarName = 26

// name gives a bar the name of its stage, with a number when there was a bar of that name: two
// seeds that are called alike, or a stage that begins anew.
func (b *barReporter) name(stage string) string {
	const number = 4 // characters
	name := []rune(human.Line(stage, maxText))
	if most := maxBarName - number; len(name) > most {
		verb, _, _ := strings.Cut(stage, " ")
		end := name[len(name)-(most-len(verb)-2):] // of a path the end tells more
		name = []rune(verb + " …" + string(end))
	}
	b.names[string(name)]++
	if n := b.names[string(name)]; n > 1 {
		return fmt.Sprintf("%s %d", string(name), n)
	}
	return string(name)
}

// result and failed finish the bars first, so that nothing is drawn over what follows.
func (b *barReporter) result(r apply.Result) {
	b.close()
	b.textReporter.result(r)
}

func (b *barReporter) failed(err error) error {
	b.close()
	return err
}

func (b *barReporter) close() {
	b.line.mu.Lock()
	defer b.line.mu.Unlock()
	for _, bar := range b.bars {
		if !bar.Completed() {
			bar.Abort(false)
		}
	}
	clear(b.bars)
	b.progress.Wait()
	if b.err == io.Writer(b.progress) {
		b.err = b.terminal
	}
	b.out = b.terminal
}
