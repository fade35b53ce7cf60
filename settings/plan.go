package settings

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"deltaup/chunkstore"
)

// plan is what a boot is about to do. Making it writes nothing.
type plan struct {
	store  *Store
	source *Source
	now    time.Time
	report *Report

	laid     *Laid     // what was laid last; nil: nothing is known
	view     *View     // what its upper folders have become; nil: they are not there
	from, to *defaults // of the image before, and of the one that boots
	before   *Generation
	ran      chunkstore.ID // the image before
	current  *Generation   // the settings as they are now, of the image before; nil: there are none
	target   *Generation   // the settings that are laid; nil: the defaults alone
	next     int           // number of the next generation
	commits  []*Generation
	made     bool // all was decided
	lay      []Entry
	folders  map[string]*Entry // what attributes has found
	merged   map[chunkstore.ID][]byte
	where    map[chunkstore.ID]place // where contents lie outside of the store; made when needed
	lost     int                     // number of an upper folder to put aside; 0: none
	keep     []string                // names of upper folders that were put aside
}

// makePlan decides what to do. The caller closes the plan, also after an error.
func makePlan(ctx context.Context, s *Store, source *Source) (*plan, error) {
	p := &plan{store: s, source: source, now: time.Now().UTC().Truncate(time.Second),
		report: &Report{Image: source.image}, merged: map[chunkstore.ID][]byte{}, next: 1}
	for _, w := range source.list.Warnings() {
		p.warn("%s", w)
	}
	numbers, err := s.Generations()
	if err != nil {
		return p, err
	}
	if len(numbers) > 0 {
		p.next = numbers[len(numbers)-1] + 1
	}
	if p.to, err = s.defaultsOf(ctx, source); err != nil {
		return p, err
	}
	if err := p.look(ctx, numbers); err != nil {
		return p, err
	}
	if err := p.commit(); err != nil {
		return p, err
	}
	if err := p.choose(); err != nil {
		return p, err
	}
	err = p.tell()
	p.made = err == nil
	return p, err
}

func (p *plan) close() error {
	if p.view == nil {
		return nil
	}
	return p.view.Close()
}

func (p *plan) warn(format string, args ...any) {
	p.report.Warnings = append(p.report.Warnings, oneLine(fmt.Sprintf(format, args...)))
}

// look reads what was laid, and what became of it.
func (p *plan) look(ctx context.Context, numbers []int) error {
	laid, err := p.store.Laid()
	if errors.Is(err, ErrDamaged) {
		p.warn("%v; the last generation counts", err)
		p.lost, _ = p.store.nextUpper()
		p.lost-- // whatever was changed since is there
	} else if err != nil && !errors.Is(err, ErrNone) {
		return err
	}
	if laid == nil {
		return p.lookBack(numbers)
	}
	p.laid, p.report.Before = laid, laid.Image
	if laid.Generation > 0 {
		p.before, err = p.store.Generation(laid.Generation)
		if lost(err) {
			p.warn("%v", err)
		} else if err != nil {
			return err
		}
	}
	if err := p.lookFrom(laid.Image); err != nil {
		return err
	}
	p.view, err = p.store.scan(ctx, laid, p.from, p.source, p.lists(), false)
	if errors.Is(err, ErrNone) {
		p.warn("what was changed since the last boot is not there: %v", err)
		return nil
	}
	if err == nil && laid.Generation == 0 {
		err = p.resume(numbers)
	}
	return err
}

// resume goes on with the last generation after a boot that had failed, and so laid none. What was
// changed since then counts above it; when the machine goes back from an image that could not be
// merged, only what never goes back does.
func (p *plan) resume(numbers []int) error {
	from, ran, since := p.from, p.ran, p.view.Entries
	err := p.lookBack(numbers)
	p.report.Before = ran
	if err != nil || p.before == nil {
		p.from, p.ran = from, ran
		return err
	}
	p.warn("the boot before had failed: generation %d counts again", p.before.Number)
	back := ran != p.source.image && p.ran == p.source.image
	m := merger{to: p.from, result: map[string]Entry{}}
	for _, e := range p.before.Entries {
		m.result[e.Path] = e
	}
	for _, e := range since {
		if !back || p.isNewest(e.Path) {
			m.set(e)
		}
	}
	p.view.Entries = m.list()
	return nil
}

// lookBack takes the last generation that can be read in place of what was laid.
func (p *plan) lookBack(numbers []int) error {
	for _, n := range slices.Backward(numbers) {
		g, err := p.store.Generation(n)
		if lost(err) {
			p.warn("%v", err)
			continue
		}
		if err != nil {
			return err
		}
		p.before, p.report.Before = g, g.Image
		return p.lookFrom(g.Image)
	}
	p.from = p.to
	return nil
}

// lookFrom finds the defaults of the image before.
func (p *plan) lookFrom(image chunkstore.ID) (err error) {
	p.ran = image
	if image == p.source.image {
		p.from = p.to
		return nil
	}
	if p.from, err = p.store.oldDefaults(image); p.from == nil {
		return err
	}
	if err != nil {
		p.warn("the defaults of the image before are not known: %v", err)
	}
	return nil
}

// lists are the list of the image before and of the one that boots.
func (p *plan) lists() listed {
	if p.from.list == nil || p.from == p.to {
		return listed{p.to.list}
	}
	return listed{p.from.list, p.to.list}
}

// open opens a content, wherever it is: among those that were merged, in the upper folders, in the
// store, in the image.
func (p *plan) open(id chunkstore.ID) (io.ReadCloser, error) {
	if b, ok := p.merged[id]; ok {
		return io.NopCloser(bytes.NewReader(b)), nil
	}
	if p.where == nil {
		p.where = map[chunkstore.ID]place{}
		p.find(p.to.Entries, p.source.open)
		if p.view != nil {
			p.find(p.view.Entries, func(path string) (io.ReadCloser, error) { return p.view.open(&Entry{Path: path}) })
		}
	}
	at, ok := p.where[id]
	if ok {
		if r, err := at.open(at.path); err == nil {
			return r, nil
		}
	}
	return p.store.OpenObject(id)
}

// place is where a content lies.
type place struct {
	open func(path string) (io.ReadCloser, error)
	path string
}

func (p *plan) find(entries []Entry, open func(string) (io.ReadCloser, error)) {
	for i := range entries {
		if e := &entries[i]; e.Kind == File {
			p.where[e.Content] = place{open, e.Path}
		}
	}
}
