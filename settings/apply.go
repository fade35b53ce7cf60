package settings

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/chunkstore"
)

// What a boot spends on removing old upper folders. The rest stays for the next one.
const (
	maxRemoved = 50_000 // names
	maxClean   = 3 * time.Second
)

// apply carries the plan out.
func (p *plan) apply(ctx context.Context) (err error) {
	s := p.store
	defer func() {
		if err != nil {
			err = errors.Join(err, p.report.Close())
		}
	}()
	if s.top.ReadOnly() {
		return &fs.PathError{Op: "write", Path: s.top.Name(), Err: unix.EROFS}
	}
	if p.lies() {
		r, err := p.asLeft()
		if err == nil {
			p.report.Places, err = r.Places, p.keepLost()
		}
		if err != nil {
			return err
		}
		p.clean(ctx, p.laid.Upper, nil)
		return nil
	}
	if err := p.putAside(); err != nil {
		return err
	}
	keep := p.keep
	if p.laid != nil {
		keep = append(keep, strconv.Itoa(p.laid.Upper))
	}
	if err := s.keepUppers(keep...); err != nil {
		return err
	}
	left := s.emptyTrash(ctx) // what is there may be the room that is missing
	number, err := s.nextUpper()
	if err != nil {
		return err
	}
	if err = p.layUppers(ctx, s.upper, number); err == nil {
		err = p.addObjects(ctx)
	}
	if err != nil {
		return errors.Join(err, s.upper.Discard(strconv.Itoa(number), s.trash))
	}
	laid := &Laid{Generation: p.report.Generation, Image: p.source.image, Upper: number}
	for _, place := range p.report.Places {
		laid.Places = append(laid.Places, place.Path)
	}
	slices.Sort(laid.Places)
	if err := s.publish(laid, p.commits, p.to); err != nil {
		return err
	}
	p.clean(ctx, number, left)
	return nil
}

// putAside gives an upper folder that could not be read a name under which it stays, in place of an
// older one.
func (p *plan) putAside() error {
	s := p.store
	if p.lost > 0 {
		name := lostPrefix + strconv.Itoa(p.lost)
		err := s.upper.Rename(strconv.Itoa(p.lost), s.upper, name)
		if err == nil {
			p.report.Lost = nameUpper + "/" + name
			p.keep = []string{name}
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return p.keepLost()
}

// keepLost notes which upper folders were put aside by earlier boots.
func (p *plan) keepLost() error {
	names, err := p.store.upper.Names(maxUppers)
	for _, name := range names {
		if n, ok := number(strings.TrimPrefix(name, lostPrefix)); ok && name == lostPrefix+strconv.Itoa(n) {
			p.keep = append(p.keep, name)
		}
	}
	return kindIsDamage(err)
}

// clean removes what is of no use any more. What goes wrong is no harm to this boot. left is why some
// trash is left already: there is no time for more.
func (p *plan) clean(ctx context.Context, upper int, left error) {
	s := p.store
	err := s.keepUppers(append(p.keep, strconv.Itoa(upper))...)
	if err == nil && left != nil {
		err = left
	} else if err == nil {
		err = s.emptyTrash(ctx)
	}
	if err == nil {
		_, err = s.Prune(ctx, p.now, DefaultPolicy)
	}
	if err != nil {
		p.warn("not all that is of no use was removed: %v", err)
	}
}

// emptyTrash removes what is in the trash, as far as a boot has time for that.
func (s *Store) emptyTrash(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, maxClean)
	defer cancel()
	return s.trash.Empty(short, maxRemoved)
}

// addObjects makes the objects that the plan's generations name.
func (p *plan) addObjects(ctx context.Context) error {
	have := map[chunkstore.ID]bool{}
	if p.before != nil {
		for i := range p.before.Entries {
			have[p.before.Entries[i].Content] = true
		}
	}
	add := func(e *Entry, needed bool) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.Kind != File || have[e.Content] || e.Size > MaxFile {
			return nil
		}
		have[e.Content] = true
		err := p.store.add(e.Content, func() (io.ReadCloser, error) { return p.open(e.Content) })
		if lost(err) && !needed {
			return nil
		}
		return err
	}
	for _, l := range p.lists() {
		if len(p.commits) > 0 || p.to.fresh {
			text := l.Text()
			if err := p.store.add(chunkstore.Sum(text), bytesOf(text)); err != nil {
				return err
			}
		}
	}
	for _, g := range p.commits {
		for i := range g.Entries {
			if err := add(&g.Entries[i], g == p.current); err != nil {
				return err
			}
		}
		for i := range g.Conflicts {
			c := &g.Conflicts[i]
			if err := errors.Join(add(&c.Base, false), add(&c.Local, false), add(&c.Image, false)); err != nil {
				return err
			}
		}
	}
	if !p.to.fresh {
		return nil
	}
	return p.to.bases(func(e *Entry) error { return add(e, false) })
}
