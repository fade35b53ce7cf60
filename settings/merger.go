package settings

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"deltaup/chunkstore"
	"deltaup/settings/list"
)

// merger puts the settings of a machine, which belong to one image, together with the defaults of
// another.
type merger struct {
	from     *defaults // of the image that the settings belong to
	to       *defaults // of the image that boots
	old      listed    // what was a setting before
	entries  []Entry   // the settings
	open     func(chunkstore.ID) (io.ReadCloser, error)
	warnings []string

	bytes  map[chunkstore.ID][]byte // contents that were merged
	sizes  map[chunkstore.ID]int64
	budget int64

	result    map[string]Entry // what differs from the new defaults
	conflicts []Conflict
	dropped   []string
}

func (m *merger) warn(text string) { m.warnings = append(m.warnings, oneLine(text)) }

// lost tells that a content is not there, which is no error of the machine.
func lost(err error) bool { return errors.Is(err, ErrNone) || errors.Is(err, ErrDamaged) }

// read gives the content of a version of a file.
func (m *merger) read(e *Entry) ([]byte, error) {
	r, err := m.open(e.Content)
	if err != nil {
		return nil, err
	}
	defer r.Close() // nothing was written
	return readAll(r, maxMerge)
}

// keep keeps the bytes of a merged file until they are written.
func (m *merger) keep(p []byte) (chunkstore.ID, bool) {
	if m.budget -= int64(len(p)); m.budget < 0 {
		return chunkstore.ID{}, false
	}
	id := chunkstore.Sum(p)
	m.bytes[id], m.sizes[id] = p, int64(len(p))
	return id, true
}

// run merges all paths.
func (m *merger) run() error {
	m.result = map[string]Entry{}
	for _, full := range m.paths() {
		options, ok := m.to.list.Keep(full)
		if !ok {
			m.unlisted(full)
			continue
		}
		t := &three{base: m.base(full), local: m.local(full), image: at(m.to.Entries, full), options: options, merger: m}
		e, c, err := t.merged()
		if err != nil {
			return err
		}
		if c != nil {
			m.conflicts = append(m.conflicts, *c)
		}
		m.set(e)
	}
	return m.fit()
}

// paths is every path that some version has, sorted.
func (m *merger) paths() []string {
	var all []string
	for _, entries := range [][]Entry{m.entries, m.from.Entries, m.to.Entries} {
		for i := range entries {
			all = append(all, entries[i].Path)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// at gives the entry of a path; Gone when there is none.
func at(entries []Entry, path string) *Entry {
	if e := find(entries, path); e != nil {
		return e
	}
	return none(path)
}

// base is what the machine's settings and the new image both come from. Of a path that the old list
// did not keep nothing is known: unless the machine has changed it, it counts as the new image's.
func (m *merger) base(full string) *Entry {
	if e := find(m.from.Entries, full); e != nil {
		return e
	}
	e, now := find(m.entries, full), at(m.to.Entries, full)
	if m.from.partial(full) && (e == nil || !e.Default.IsZero() && e.Default == now.id()) {
		return now
	}
	return none(full)
}

// local is what the machine has at a path.
func (m *merger) local(full string) *Entry {
	if e := find(m.entries, full); e != nil {
		return e
	}
	return m.base(full)
}

// unlisted drops a setting that the new list does not keep. Folders that lead to settings are dealt
// with by fit.
func (m *merger) unlisted(full string) {
	e := find(m.entries, full)
	if e == nil || !m.old.keeps(full) {
		return
	}
	if now := find(m.to.Entries, full); now == nil || !e.same(now) {
		m.dropped = append(m.dropped, full)
	}
}

// set notes the result for a path.
func (m *merger) set(e Entry) {
	d := find(m.to.Entries, e.Path)
	e.Default = chunkstore.ID{}
	switch {
	case d == nil && (e.Kind == Gone || madeByBoot(&e, m.to.list.Places())), d != nil && e.same(d):
		delete(m.result, e.Path)
		return
	case d != nil:
		e.Default = d.id()
	}
	m.result[e.Path] = e
}

// now is what the result has at a path; Gone: nothing.
func (m *merger) now(full string) *Entry {
	if e, ok := m.result[full]; ok {
		return &e
	}
	return at(m.to.Entries, full)
}

// fit makes a tree of the result: what is above an entry is a folder.
func (m *merger) fit() error {
	places := m.to.list.Places()
	for _, full := range sortedKeys(m.result) {
		e := m.result[full]
		place := placeOf(full, places)
		if place == "" { // hostile
			delete(m.result, full)
			continue
		}
		if e.Kind == Gone {
			continue
		}
		parents(full, place, func(p string) { m.lead(p, full) })
		if len(m.result) > maxEntries {
			return fmt.Errorf("%w: more than %d paths, with the folders that lead to them", ErrTooMuch, maxEntries)
		}
	}
	// A folder that is gone hides what the image has below it. What the machine did not remove there
	// is new, or the image's version counts: then the folder stays.
	for i := range m.to.Entries {
		e := &m.to.Entries[i]
		_, changed := m.result[e.Path]
		if _, kept := m.to.list.Keep(e.Path); changed || !kept {
			continue
		}
		parents(e.Path, placeOf(e.Path, places), func(p string) {
			if m.now(p).Kind == Gone {
				m.lead(p, e.Path)
			}
		})
	}
	sortConflicts(m.conflicts)
	return nil
}

// lead makes a folder of a path that leads to an entry. Where the image has put something else, the
// entry's options say what stays.
func (m *merger) lead(p, to string) {
	now := m.now(p)
	if now.Kind == Folder {
		return
	}
	folder := Entry{Path: p, Kind: Folder, Mode: 0o755}
	for _, e := range []*Entry{find(m.to.Entries, p), find(m.entries, p), find(m.from.Entries, p)} {
		if e != nil && e.Kind == Folder {
			folder = *e
			break
		}
	}
	if now.Kind == Gone {
		m.set(folder)
		return
	}
	_, local := m.result[p] // the machine's own, so that what is below it is not
	options, _ := m.to.list.Keep(to)
	if local || options.Merge == list.Image {
		delete(m.result, to)
		return
	}
	if !slices.ContainsFunc(m.conflicts, func(c Conflict) bool { return c.Path() == p }) {
		c := Conflict{Taken: takenLocal, Base: *at(m.from.Entries, p), Local: folder, Image: *now,
			Remarks: []string{oneLine("settings lie below it: " + to)}}
		c.Base.Default, c.Local.Default, c.Image.Default = chunkstore.ID{}, chunkstore.ID{}, chunkstore.ID{}
		m.conflicts = append(m.conflicts, c)
	}
	m.set(folder)
}

// list gives the result, sorted.
func (m *merger) list() []Entry {
	entries := make([]Entry, 0, len(m.result))
	for _, full := range sortedKeys(m.result) {
		entries = append(entries, m.result[full])
	}
	return entries
}

func sortedKeys(m map[string]Entry) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func sortConflicts(c []Conflict) {
	sortBy(c, (*Conflict).Path)
}
