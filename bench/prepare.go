package bench

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"
)

// allMethods are the methods of all tools, deltaup's first.
func allMethods() []method {
	return slices.Concat(deltaupMethods(), patchMethods(), chunkMethods(), ostreeMethods())
}

// published is the folder that the server serves for a method.
func (s *session) published(m *method) string {
	return filepath.Join(s.dir, "pub", m.preparation())
}

// publishAll runs the preparation of every method: deltaup's alone, since it uses all cores, the
// others two at a time. Only CPU time can be compared between them. Wall time is exact for deltaup
// and an upper bound for the others.
func (s *session) publishAll() error {
	var chosen []method
	for _, m := range allMethods() {
		if why := s.leftOut(&m); why != "" {
			s.report.Skipped = append(s.report.Skipped, Skipped{m.name, why})
			continue
		}
		chosen = append(chosen, m)
	}
	results := make([]Result, len(chosen))
	var group errgroup.Group
	group.SetLimit(2)
	begin := func(i int) {
		m, r := &chosen[i], &results[i]
		if m.id == "deltaup" {
			s.publish(m, &s.report.Subject, s.published(m), r)
			return
		}
		group.Go(func() error { s.publish(m, &s.report.Subject, s.published(m), r); return nil })
	}
	for i := range chosen {
		results[i] = s.newResult(&chosen[i])
	}
	// two cores finish sooner when the short ones come last
	for _, long := range []bool{true, false} {
		for i := range chosen {
			m := &chosen[i]
			first := m.id == "deltaup" || m.long
			if m.publish != nil && first == long {
				begin(i)
			}
		}
	}
	_ = group.Wait() // the results have the failures
	for i := range chosen {
		if k := slices.IndexFunc(chosen, func(m method) bool { return m.id == chosen[i].shares }); k >= 0 {
			results[i].Publish, results[i].Storage = results[k].Publish, results[k].Storage
		}
		if results[i].Failure == "" {
			s.methods = append(s.methods, chosen[i])
			s.report.Methods = append(s.report.Methods, results[i])
		} else {
			s.report.Skipped = append(s.report.Skipped, Skipped{results[i].Name, results[i].Failure})
		}
	}
	s.dropUnpublished()
	return s.ctx.Err()
}

// newResult is a method's result before anything has run.
func (s *session) newResult(m *method) Result {
	r := Result{
		ID:       m.id,
		Name:     m.name,
		Of:       m.of,
		Settings: m.settings,
		Shared:   m.shares,
		Version:  s.report.Machine.Commit,
	}
	if len(m.needs) > 0 {
		r.Version = toolVersion(m.needs[0])
	}
	return r
}

// leftOut says why a method does not run, or "" when it does.
func (s *session) leftOut(m *method) string {
	missing := m.missing()
	switch {
	case s.Only != nil && !slices.Contains(s.Only, m.id):
		return "not asked for"
	case len(missing) > 0:
		return fmt.Sprintf("%s is not installed", missing[0])
	case m.skip != "":
		return m.skip
	// a quick run, too, runs methods that are asked for by name
	case s.Quick && m.slow && s.Only == nil:
		return "left out of a quick run"
	}
	return ""
}

// dropUnpublished drops the methods whose shared preparation has failed.
func (s *session) dropUnpublished() {
	for i := 0; i < len(s.methods); i++ {
		m := &s.methods[i]
		if _, err := os.Stat(s.published(m)); err != nil {
			s.report.Skipped = append(s.report.Skipped,
				Skipped{m.name, "its publication was not made"})
			s.methods = slices.Delete(s.methods, i, i+1)
			s.report.Methods = slices.Delete(s.report.Methods, i, i+1)
			i--
		}
	}
}

// publish runs a method's preparation of a subject in a folder that it makes.
func (s *session) publish(m *method, subject *Subject, pub string, r *Result) {
	ctx, stop := context.WithTimeoutCause(s.ctx, s.prepareLimit,
		fmt.Errorf("publishing takes longer than %v", s.prepareLimit))
	defer stop()
	p := &publisher{
		host:    host{dir: pub},
		subject: subject,
		deltaup: s.deltaup,
		quick:   s.Quick,
	}
	err := os.Mkdir(p.dir, 0o755)
	if err == nil {
		err = m.publish(ctx, p)
	}
	r.Publish = p.used
	if err != nil {
		r.Failure = err.Error()
		s.Log("  %s: %v", m.name, err)
		_ = os.RemoveAll(p.dir) // the scratch folder goes in the end
		return
	}
	r.Storage = folderSize(p.dir)
	s.Log("  %-28s %6.1f s CPU, %7.1f MB", m.name, p.used.CPU.Seconds(), float64(r.Storage)/1e6)
}

// folderSize adds up the files of a folder.
func folderSize(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil // unreadable files do not count
	})
	return n
}
