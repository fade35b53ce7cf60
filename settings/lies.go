package settings

import "slices"

// lies tells whether the upper folders that were laid last are what would be laid now. Then nothing
// is written: most boots of most machines change nothing.
func (p *plan) lies() bool {
	if p.view == nil || p.to.fresh || len(p.commits) > 0 || p.laid.Image != p.source.image ||
		p.laid.Generation != p.report.Generation || !slices.Equal(p.laid.Places, p.to.list.Places()) {
		return false
	}
	want := map[string]*Entry{}
	for _, place := range p.laid.Places {
		want[place] = p.attributes(place)
	}
	for i := range p.lay {
		e := &p.lay[i]
		place := placeOf(e.Path, p.laid.Places)
		if e.Kind == Gone && p.covered(e.Path, place) {
			continue
		}
		if want[e.Path] = e; e.Kind == Folder {
			want[e.Path] = p.attributes(e.Path)
		}
		parents(e.Path, place, func(above string) { want[above] = p.attributes(above) })
	}
	if len(want) != len(p.view.seen) {
		return false
	}
	for _, have := range p.view.seen {
		if e := want[have.Path]; e == nil || have.odd || !have.same(e) {
			return false
		}
	}
	return true
}
