package settings

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"deltaup/internal/folder"
)

// fallBack does what can be done after the plan of a boot has failed.
func (p *plan) fallBack(ctx context.Context, why error) (*Report, error) {
	if p.to == nil {
		return nil, errors.New("the image's defaults are not known")
	}
	if laid, err := p.store.Laid(); err == nil && laid.Image == p.source.image {
		p.laid = laid // by this boot, perhaps, when it failed only after that
	}
	// No overlay can be mounted with an upper folder on a disk that is read-only.
	if cannotWrite(why) && !errors.Is(why, unix.EROFS) && p.laid != nil && p.laid.Image == p.source.image {
		r, err := p.asLeft()
		if err == nil {
			_ = p.store.emptyTrash(ctx) // the next boot goes on
			r.Failure = fmt.Errorf("nothing was committed: %w", why)
			return r, nil
		}
		why = errors.Join(why, err)
	}
	if cannotWrite(why) && p.made {
		err := p.inMemory(ctx, why)
		if err == nil {
			return p.report, nil
		}
		why = errors.Join(why, err)
	}
	q := &plan{store: p.store, source: p.source, now: p.now, to: p.to, from: p.to, laid: p.laid, lost: p.lost,
		report: &Report{Image: p.source.image, Before: p.report.Before, Failure: why}, next: p.next}
	defer q.close() // nothing was written
	if p.laid != nil {
		q.lost = p.laid.Upper
	}
	var err error
	if q.lay, err = fitted(p.to, q.newestEntries(ctx)); err != nil {
		q.warn("there are no newest settings: %v", err)
	}
	for i := range q.lay {
		q.report.Newest = append(q.report.Newest, q.lay[i].Path)
	}
	q.report.Changes = q.report.Newest
	err = q.apply(ctx)
	if cannotWrite(err) {
		return q.report, q.inMemory(ctx, errors.Join(why, err))
	}
	return q.report, err
}

// inMemory lays what the plan has, since the store takes nothing.
func (p *plan) inMemory(ctx context.Context, why error) error {
	if p.store.Spare == "" {
		return fmt.Errorf("there is no memory to lay it in: %w", why)
	}
	spare, err := folder.Open(p.store.Spare)
	if err != nil {
		return err
	}
	defer spare.Close() // only opened
	r := p.report
	r.Failure = fmt.Errorf("nothing was committed, and what changes now is gone with this boot: %w", why)
	r.Committed = 0
	if slices.Contains(p.commits, p.target) {
		r.Generation = 0 // there is none of what is laid
		if p.before != nil {
			r.Generation = p.before.Number
		}
	}
	if err := p.layUppers(ctx, spare, 1); err != nil {
		return errors.Join(err, r.Close(), spare.RemoveAll("1"))
	}
	return nil
}

// cannotWrite tells whether an error is that of a disk that takes nothing more.
func cannotWrite(err error) bool {
	return slices.ContainsFunc([]error{unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EIO},
		func(e error) bool { return errors.Is(err, e) })
}

// asLeft gives the upper folders as they were left by the last boot of the same image.
func (p *plan) asLeft() (*Report, error) {
	r := &Report{Image: p.source.image, Before: p.laid.Image, Generation: p.laid.Generation}
	for _, full := range p.laid.Places {
		_, err := p.source.tree.find(full)
		missing := errors.Is(err, fs.ErrNotExist)
		if missing {
			err = nil
		}
		var up, work *folder.Folder
		if err == nil {
			up, err = p.store.openUpper(p.laid.Upper, full, nameUp)
		}
		if err == nil {
			if work, err = p.store.openUpper(p.laid.Upper, full, nameWork); err != nil {
				up.Close() // nothing was written
			}
		}
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.Places = append(r.Places, Place{Path: full, Missing: missing, Upper: up.File(), Work: work.File()})
	}
	return r, nil
}

// neverBack is those settings of an image that never go back.
type neverBack struct{ listed }

func (n neverBack) keeps(path string) bool {
	for _, l := range n.listed {
		if o, ok := l.Keep(path); ok && o.Newest {
			return true
		}
	}
	return false
}

// newestEntries finds the newest entries: in the upper folder as it was left, or else in the last
// generation that can be read.
func (p *plan) newestEntries(ctx context.Context) []Entry {
	rules := neverBack{listed{p.to.list}}
	if p.laid != nil {
		from := &defaults{}
		if p.laid.Image == p.source.image {
			from = p.to
		}
		v, err := p.store.scan(ctx, p.laid, from, p.source, rules, true)
		if err == nil {
			p.view = v
			return v.Entries
		}
		p.warn("the newest settings are those of the last generation: %v", err)
	}
	numbers, err := p.store.Generations()
	for _, n := range slices.Backward(numbers) {
		g, err := p.store.Generation(n)
		if err != nil {
			continue
		}
		return slices.DeleteFunc(g.Entries, func(e Entry) bool { return !rules.keeps(e.Path) })
	}
	if err != nil {
		p.warn("there are no newest settings: %v", err)
	}
	return nil
}
