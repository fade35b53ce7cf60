package settings

import (
	"errors"
	"slices"

	"deltaup/chunkstore"
	"deltaup/settings/list"
)

// commit makes a generation of what has changed since the last boot.
func (p *plan) commit() error {
	p.current = p.before
	if p.view == nil {
		return nil
	}
	p.report.NotKept = p.lists().missed(p.view.notKept)
	var was []Entry
	if p.before != nil {
		var err error
		if was, err = p.laidOf(p.before.Entries); lost(err) || errors.Is(err, ErrTooMuch) {
			p.warn("generation %d: %v", p.before.Number, err)
		} else if err != nil {
			return err
		}
	}
	if p.from.list == nil { // what the defaults were the generation still knows
		for i := range p.view.Entries {
			if e := find(was, p.view.Entries[i].Path); e != nil {
				p.view.Entries[i].Default = e.Default
			}
		}
	}
	if sameEntries(was, p.view.Entries) {
		return nil
	}
	g := &Generation{Image: p.ran, List: p.from.List, Cause: Booted, Entries: p.view.Entries}
	if g.List.IsZero() {
		g.List = p.to.List
	}
	if p.before != nil {
		g.Parent, g.Conflicts = p.before.Number, p.before.Conflicts
	}
	last, err := p.lastOf(p.ran)
	if err != nil {
		return err
	}
	p.current = p.add(g, last)
	p.report.Committed = p.current.Number
	return nil
}

// laidOf gives those entries that were laid of a generation: its list may keep less than the
// lists did with which it was made.
func (p *plan) laidOf(entries []Entry) ([]Entry, error) {
	if p.from.list == nil {
		return entries, nil
	}
	return fitted(p.from, entries)
}

// fitted gives those entries that an image's list keeps, and the folders that lead to them.
func fitted(to *defaults, entries []Entry) ([]Entry, error) {
	m := merger{from: to, to: to, entries: entries, result: map[string]Entry{}}
	for _, e := range entries {
		if _, ok := to.list.Keep(e.Path); ok {
			m.set(e)
		}
	}
	if err := m.fit(); err != nil {
		return nil, err
	}
	return m.list(), nil
}

// add adds a generation to what is to be committed, or gives last when it is the same: a cut came
// between committing and laying it.
func (p *plan) add(g, last *Generation) *Generation {
	if last != nil && last.Cause == g.Cause && last.Parent == g.Parent && last.List == g.List &&
		sameEntries(last.Entries, g.Entries) && sameConflicts(last.Conflicts, g.Conflicts) {
		return last
	}
	g.Number, g.Time = p.next, p.now
	p.next++
	p.commits = append(p.commits, g)
	return g
}

// lastOf gives the last generation of an image that can be read; nil when there is none.
func (p *plan) lastOf(image chunkstore.ID) (*Generation, error) {
	numbers, err := p.store.Generations()
	if err != nil {
		return nil, err
	}
	for _, n := range slices.Backward(numbers) {
		g, err := p.store.head(n)
		if err == nil && g.Image == image {
			g, err = p.store.Generation(n)
		}
		if err != nil && !lost(err) {
			return nil, err
		}
		if err == nil && g.Image == image {
			return g, nil
		}
	}
	return nil, nil
}

// choose decides which settings are laid.
func (p *plan) choose() error {
	image := p.source.image
	if p.current == nil {
		return nil // the image's defaults
	}
	if p.current.Image == image {
		p.target = p.current
		return nil
	}
	last, err := p.lastOf(image)
	if err != nil {
		return err
	}
	if last != nil {
		again, err := p.unused(last)
		if err != nil {
			return err
		}
		if !again {
			return p.rollBack(last)
		}
	}
	return p.merge(last)
}

// unused tells whether a generation was merged from the image before and nothing was ever changed
// under it. That was a trial that failed: what was changed since then must not be lost.
func (p *plan) unused(g *Generation) (bool, error) {
	if g.Cause != Merged || g.Parent == 0 {
		return false, nil
	}
	parent, err := p.store.Generation(g.Parent)
	if lost(err) {
		return false, nil
	}
	return err == nil && parent.Image == p.current.Image, err
}

// merge merges the settings with the defaults of the image that boots.
func (p *plan) merge(last *Generation) error {
	m := &merger{from: p.from, to: p.to, old: p.lists(), entries: p.current.Entries, open: p.open,
		bytes: p.merged, sizes: map[chunkstore.ID]int64{}, budget: maxBases}
	if err := m.run(); err != nil {
		return err
	}
	p.report.Warnings = append(p.report.Warnings, m.warnings...)
	p.report.Dropped = m.dropped
	conflicts := m.conflicts
	for _, c := range m.conflicts {
		p.report.New = append(p.report.New, c.Path())
		if o, _ := p.to.list.Keep(c.Path()); o.Merge == list.Refuse {
			p.report.Refused = append(p.report.Refused, c.Path())
		}
	}
	for _, c := range p.current.Conflicts {
		if _, kept := p.to.list.Keep(c.Path()); kept && !slices.Contains(p.report.New, c.Path()) {
			conflicts = append(conflicts, c)
		}
	}
	sortConflicts(conflicts)
	p.target = p.add(&Generation{Parent: p.current.Number, Image: p.source.image, List: p.to.List, Cause: Merged,
		Entries: m.list(), Conflicts: conflicts}, last)
	p.report.Merged = true
	return nil
}

// rollBack takes the generation that the image had, with the newest version of what never goes back.
func (p *plan) rollBack(last *Generation) error {
	p.report.RolledBack = true
	m := &merger{from: p.from, to: p.to, entries: last.Entries, result: map[string]Entry{}}
	for _, e := range last.Entries {
		if _, ok := p.to.list.Keep(e.Path); ok {
			m.set(e)
		}
	}
	before := m.list()
	for full := range p.newest(last.Entries) {
		if e := p.newestVersion(m, full); e != nil {
			was := m.now(full)
			if !was.same(e) {
				p.report.Newest = append(p.report.Newest, full)
			}
			m.set(*e)
		}
	}
	slices.Sort(p.report.Newest)
	if err := m.fit(); err != nil {
		return err
	}
	if after := m.list(); !sameEntries(before, after) && len(p.report.Newest) > 0 {
		p.target = p.add(&Generation{Parent: last.Number, Image: p.source.image, List: p.to.List, Cause: Merged,
			Entries: after, Conflicts: last.Conflicts}, last)
		p.report.Merged = true
		return nil
	}
	p.target = last
	return nil
}

// newest gives the paths that have to do with settings that never go back.
func (p *plan) newest(then []Entry) map[string]bool {
	paths := map[string]bool{}
	for _, entries := range [][]Entry{then, p.current.Entries} {
		for i := range entries {
			if full := entries[i].Path; p.isNewest(full) {
				paths[full] = true
			}
		}
	}
	return paths
}

func (p *plan) isNewest(full string) bool {
	to, kept := p.to.list.Keep(full)
	if !kept || to.Newest || p.from.list == nil {
		return kept && to.Newest
	}
	from, kept := p.from.list.Keep(full)
	return kept && from.Newest
}

// newestVersion gives what the machine has now at a path; nil when that cannot be had.
func (p *plan) newestVersion(m *merger, full string) *Entry {
	e := find(p.current.Entries, full)
	if e == nil {
		if p.from.partial(full) {
			return nil
		}
		e = at(p.from.Entries, full) // it has become the default of the image before
	}
	if e.Kind == File && !e.same(m.now(full)) {
		r, err := p.open(e.Content)
		if err != nil {
			p.warn("%s goes back with the image: %v", full, err)
			return nil
		}
		r.Close() // nothing was written
	}
	return e
}

// tell completes the report with what is laid.
func (p *plan) tell() (err error) {
	r := p.report
	if p.target == nil {
		return nil
	}
	if p.lay, err = fitted(p.to, p.target.Entries); err != nil {
		return err
	}
	r.Generation, r.Conflicts = p.target.Number, p.target.Conflicts
	for i := range p.lay {
		r.Changes = append(r.Changes, p.lay[i].Path)
	}
	return nil
}
