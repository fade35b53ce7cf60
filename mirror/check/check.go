// Package check verifies every file of a mirror, and that all fit together: see [Mirror].
package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
)

// Damage is one file of a mirror that is not what it should be.
type Damage struct {
	Name     string   `json:"name"`               // path relative to the mirror
	What     string   `json:"what"`               // "is missing", "has 10 of 20 bytes", …
	Releases []string `json:"releases,omitempty"` // versions that need it, sorted
}

// Report is what [Mirror] found.
type Report struct {
	Files    int      `json:"files"` // verified
	Bytes    int64    `json:"bytes"` // of them
	Releases int      `json:"releases"`
	Damaged  []Damage `json:"damaged"` // by name
	// Unreferenced are files that no release needs, by name; they are no damage. While a release or
	// an index is damaged it is not known what they need, and nothing is listed.
	Unreferenced []string `json:"unreferenced"`
}

// Options says how to check; the zero value is usable.
type Options struct {
	Deep bool // apply each patch set to the release that it leads from
	// bytes read and to read, from one goroutine at a time; may be nil
	Progress func(done, total int64)
}

// Mirror reads every file of a mirror and verifies it: pointers, releases, recipes, indexes,
// images, block maps, packs and each chunk in them, patch sets and each group in them. It builds
// what lies nowhere whole, such as initrds. Damage is in the report; an error means that the check
// itself could not be done. mirror.ErrNowhere is wrapped when the store has no mirror.
//
// A publisher may be at work meanwhile: what it has not pointed to yet may be listed as
// unreferenced.
func Mirror(ctx context.Context, s mirror.Store, o Options) (*Report, error) {
	c := &checker{
		mirror:  s,
		options: o,
		damaged: map[string]string{},
		needs:   map[string][]string{},
		report:  &Report{Damaged: []Damage{}, Unreferenced: []string{}}, // never null in JSON
	}
	c.folder = sync.OnceValues(func() (*chunkstore.Folder, error) {
		return verify.OpenPacks(ctx, s)
	})
	if err := mirror.Need(ctx, s); err != nil {
		return nil, err
	}
	report, err := c.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("check mirror %s: %w", s, err)
	}
	return report, nil
}

// checker is one run of Mirror.
type checker struct {
	mirror  mirror.Store
	options Options
	report  *Report
	files   map[string]int64    // all files and their sizes, as listed at the start
	needs   map[string][]string // file to the versions that need it
	// a release or an index could not be read: what it needs is not known
	blind  bool
	folder func() (*chunkstore.Folder, error)

	mu          sync.Mutex
	damaged     map[string]string // file to what is wrong
	done, total int64
}

func (c *checker) run(ctx context.Context) (*Report, error) {
	// Releases are read before files are listed, so that a publisher at work does not make files
	// appear needed and missing: it writes a release after all that it needs.
	pointers, err := c.list(ctx, mirror.ChannelsDir, ".json")
	if err != nil {
		return nil, err
	}
	versions, err := c.list(ctx, mirror.ReleasesDir, ".json")
	if err != nil {
		return nil, err
	}
	if c.files, err = c.walk(ctx); err != nil {
		return nil, err
	}
	for _, size := range c.files {
		c.total += size
	}
	if err := c.hashNamed(ctx); err != nil {
		return nil, err
	}
	for _, version := range versions {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := c.release(ctx, version); err != nil {
			return nil, err
		}
	}
	for _, channel := range pointers {
		c.pointer(ctx, channel)
	}
	if err := ctx.Err(); err != nil { // what could not be read for it is no damage
		return nil, err
	}
	return c.finish(), nil
}

// pointer verifies a channel's pointer against the release that it names.
func (c *checker) pointer(ctx context.Context, channel string) {
	name := mirror.PointerPath(channel)
	p, err := verify.Pointer(ctx, c.mirror, channel)
	if err != nil {
		c.damage(name, err.Error())
		return
	}
	c.verified(name)
	c.need(name, p.Version)
	release := mirror.ReleasePath(p.Version)
	c.need(release, p.Version)
	b, err := mirror.ReadFile(ctx, c.mirror, release, mirror.MaxReleaseSize)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.damage(release, "is missing")
	case err != nil:
		c.damage(release, err.Error())
	case p.Channel != channel:
		c.damage(name, fmt.Sprintf("is that of channel %s", p.Channel))
	case chunkstore.Sum(b) != p.Release.ID || int64(len(b)) != p.Release.Size:
		c.damage(release, fmt.Sprintf("is not the one that %s names", name))
	}
}

// damage notes what is wrong with a file; the first finding stays.
func (c *checker) damage(name, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.damaged[name]; !known {
		c.damaged[name] = what
	}
}

// need notes that a version needs a file.
func (c *checker) need(name, version string) {
	if !slices.Contains(c.needs[name], version) {
		c.needs[name] = append(c.needs[name], version)
	}
}

// object notes a hash-named file that a version needs and holds its size against the one that it
// should have. It tells whether the file may be used.
func (c *checker) object(version, name string, size int64) bool {
	c.need(name, version)
	got, ok := c.files[name]
	switch {
	case !ok:
		c.damage(name, "is missing")
	case got != size:
		c.damage(name, fmt.Sprintf("has %d of %d bytes", got, size))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.damaged[name] == ""
}

// step counts bytes that were read.
func (c *checker) step(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done += n
	if c.options.Progress != nil {
		c.options.Progress(c.done, c.total)
	}
}

// verified counts a small file that was read whole.
func (c *checker) verified(name string) { c.step(c.files[name]) }

// signed tells the files whose use package trust knows.
func signed(name string) bool {
	return strings.HasPrefix(name, mirror.MetadataDir+"/") ||
		strings.HasPrefix(name, mirror.CatalogsDir+"/")
}

func (c *checker) finish() *Report {
	r := c.report
	r.Files, r.Bytes = len(c.files), c.done
	for name, what := range c.damaged {
		slices.Sort(c.needs[name])
		r.Damaged = append(r.Damaged, Damage{Name: name, What: what, Releases: c.needs[name]})
	}
	slices.SortFunc(r.Damaged, func(a, b Damage) int { return cmp.Compare(a.Name, b.Name) })
	for name := range c.files {
		_, needed := c.needs[name]
		_, damaged := c.damaged[name]
		if !needed && !damaged && !c.blind && !signed(name) {
			r.Unreferenced = append(r.Unreferenced, name)
		}
	}
	slices.Sort(r.Unreferenced)
	return r
}
