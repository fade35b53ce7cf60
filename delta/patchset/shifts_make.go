package patchset

import (
	"context"
	"path"
	"strings"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
	"deltaup/delta/transform"
)

// kernelsOf names the two kernels whose modules a base and its content are, "" when they are none.
func kernelsOf(oldPath, newPath string) string {
	from, to := kernelOf(oldPath), kernelOf(newPath)
	if from == "" || to == "" {
		return ""
	}
	return from + "\x00" + to
}

// kernelOf gives the folder of the kernel whose module lies at a path.
func kernelOf(name string) string {
	const folder = "lib/modules/"
	at := strings.Index(name, folder)
	if at < 0 || !strings.Contains(path.Base(name), ".ko") {
		return ""
	}
	version, _, _ := strings.Cut(name[at+len(folder):], "/")
	return name[:at+len(folder)+len(version)]
}

// learn finds the shifts between kernels from all modules that the set has.
func (m *maker) learn(ctx context.Context) error {
	m.shifts = map[string]*transform.Shifts{}
	modules := map[string][]int{} // by kernelsOf
	for i, c := range m.contents {
		base := m.patterns[i]
		if base == nil || base.Size > transform.LargeMax || c.Size > transform.LargeMax {
			continue
		}
		if key := kernelsOf(m.oldPaths[base], m.paths[i]); key != "" {
			modules[key] = append(modules[key], i)
		}
	}
	for key, list := range modules {
		if len(list) < modulesMin {
			continue
		}
		l := transform.NewLearner()
		if err := m.teach(ctx, list[:min(len(list), guessMax)], l.Guess); err != nil {
			return err
		}
		if err := m.teach(ctx, list, l.Add); err != nil {
			return err
		}
		m.shifts[key] = l.Shifts()
	}
	return nil
}

const (
	// Shifts cost nearly what they save on fewer modules, and older programs cannot read them.
	modulesMin = 8
	guessMax   = 40 // modules that say which numbers are those of the kernel
)

// teach reads contents and their bases.
func (m *maker) teach(ctx context.Context, list []int, learn func(old, new []byte)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(m.o.workers)
	for _, i := range list {
		g.Go(func() error {
			c, base := m.contents[i], m.patterns[i]
			plain, old, release, err := m.readBoth(ctx, c, base, 4*(base.Size+c.Size))
			if err != nil {
				return err
			}
			defer release()
			learn(old, plain)
			return nil
		})
	}
	return g.Wait()
}

// shiftsOf gives the shifts for a content and its base, or nil.
func (m *maker) shiftsOf(base *chunkstore.Content, path string) *transform.Shifts {
	return m.shifts[kernelsOf(m.oldPaths[base], path)]
}

// shiftTables numbers the shifts of a set from 1 on, as they are first used.
type shiftTables map[*transform.Shifts]int

// number gives the number of s, and 0 for nil. It writes s when it is new.
func (t shiftTables) number(c *columns, s *transform.Shifts) int {
	if s != nil && t[s] == 0 {
		t[s] = len(t) + 1
		for _, l := range [][]transform.Shift{s.Types, s.Names} {
			c.number(colShifts, uint64(len(l)))
			last := transform.Shift{}
			for _, v := range l {
				c.number(colShifts, uint64(v.From-last.From))
				last = v
			}
			last = transform.Shift{}
			for _, v := range l {
				c.signed(colShifts, int64(int32(v.By-last.By)))
				last = v
			}
		}
	}
	return t[s]
}
