package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// Whole is what updates cost when everything that a machine boots is counted: the image, the kernel
// and the initrd. It has bytes and requests, no times. whole.json holds it, beside the report's
// other files.
type Whole struct {
	Format  int         `json:"format"` // 1
	Date    time.Time   `json:"date"`   // of the last run
	Machine Machine     `json:"machine"`
	Server  string      `json:"server"`
	Pairs   []WholePair `json:"pairs"` // sorted by name; with plain modules after that without
}

// WholePair has the figures of a pair of releases. Arrays have the old one's and the new one's.
type WholePair struct {
	Name  string `json:"name"`
	Level string `json:"level"`         // deltaup mkimage --level
	Plain bool   `json:"plain_modules"` // compressed kernel modules were made plain, for all tools
	// the modules are plain as they come, so that making them plain gives the same images
	PlainBefore bool       `json:"plain_before"`
	Image       [2]int64   `json:"image_bytes"`
	Tar         [2]int64   `json:"tar_bytes"` // with boot/
	Kernel      [2]int64   `json:"kernel_bytes"`
	Initrd      [2]int64   `json:"initrd_bytes"`
	ImageSum    [2]string  `json:"image_sha256"`
	TarSum      [2]string  `json:"tar_sha256"` // with boot/
	Ways        []WholeWay `json:"ways"`
	Skipped     []Skipped  `json:"skipped"`
}

// WholeWay is one way to update.
type WholeWay struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Of       string    `json:"of"` // image, tar or tree
	Settings string    `json:"settings"`
	Version  string    `json:"version"`
	Date     time.Time `json:"date"`
	Alone    Fetched   `json:"alone"` // without boot/
	Whole    Fetched   `json:"whole"` // with kernel and initrd; of tars and trees with all of boot/
}

// Fetched is what one update fetched.
type Fetched struct {
	Sent     int64 `json:"sent_bytes"` // TCP payload that the server sent, with HTTP headers
	Requests int64 `json:"requests"`
}

// wholeIDs are the methods that are compared: of each tool that which fetches the fewest bytes.
var wholeIDs = []string{
	"deltaup-bytes", "curl", "zstd-image", "hdiffz-image", "casync-image", "desync-image", "zstd-tar",
	"hdiffz-tar", "casync-tar", "desync-tar", "ostree-offline",
}

// Limits of one preparation and one update. Nothing is timed here, so the machine may be busy.
const (
	wholePrepareLimit = time.Hour
	wholePullLimit    = 20 * time.Minute
)

// RunWhole measures a pair of releases, as it is and with plain modules, and puts it among those of
// earlier, which may be nil. The ways that Only leaves out keep their figures where images and tars
// are the same; so do those that are not reached when ctx ends, beside that error.
func RunWhole(ctx context.Context, o Options, earlier *Whole) (_ *Whole, err error) {
	s, remove, err := newSession(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	s.prepareLimit, s.pullLimit = wholePrepareLimit, wholePullLimit
	stop, err := s.startServers()
	if err != nil {
		return nil, err
	}
	defer stop()
	pairs, err := s.wholePairs(earlier)
	if err != nil {
		return nil, err
	}
	w := &Whole{
		Format: reportFormat, Date: s.report.Date, Machine: s.report.Machine, Server: s.report.Server,
	}
	if earlier != nil {
		for _, p := range earlier.Pairs {
			if p.Name != s.Name {
				w.Pairs = append(w.Pairs, p)
			}
		}
	}
	w.Pairs = append(w.Pairs, pairs...)
	slices.SortStableFunc(w.Pairs, func(a, b WholePair) int { return cmp.Compare(a.Name, b.Name) })
	return w, ctx.Err()
}

// wholePairs measures the pair as it is and with plain modules.
func (s *session) wholePairs(earlier *Whole) ([]WholePair, error) {
	s.Log("images of %s", s.Name)
	shipped, err := s.newWholeInput(filepath.Join(s.dir, "shipped"), s.Name, s.Pair)
	if err != nil {
		return nil, err
	}
	plain, err := shipped.plainModules(s, filepath.Join(s.dir, "plain"))
	if err != nil {
		return nil, err
	}
	first, err := s.wholePair(shipped, earlier)
	if err != nil || plain == nil {
		first.PlainBefore = true
		return []WholePair{first}, err
	}
	s.Log("%s, modules plain", s.Name)
	second, err := s.wholePair(plain, earlier)
	return []WholePair{first, second}, err
}

// wholePair measures all ways on one input.
func (s *session) wholePair(w *wholeInput, earlier *Whole) (p WholePair, err error) {
	kernel, err := w.file("kernel")
	if err != nil {
		return p, err
	}
	initrd, err := w.file("initrd")
	if err != nil {
		return p, err
	}
	p = WholePair{
		Name: w.alone.Name, Level: w.alone.Level, Plain: w.plain, Image: w.alone.ImageSize, Tar: w.with.TarSize,
		Kernel: kernel.ImageSize, Initrd: initrd.ImageSize, ImageSum: w.alone.ImageSum, TarSum: w.with.TarSum,
	}
	methods := wholeMethods()
	ways, failures := make([]*WholeWay, len(methods)), make([]string, len(methods))
	var group errgroup.Group
	group.SetLimit(cmp.Or(s.Jobs, runtime.NumCPU()))
	for i := range methods {
		group.Go(func() error {
			ways[i], failures[i] = s.wholeWay(&methods[i], w, []*Subject{kernel, initrd})
			return nil
		})
	}
	_ = group.Wait() // failures has them
	kept := earlier.pair(&p)
	for i, m := range methods {
		asked := s.Only == nil || slices.Contains(s.Only, m.id)
		k := slices.IndexFunc(kept.Ways, func(k WholeWay) bool { return k.ID == m.id })
		switch {
		case ways[i] != nil:
			p.Ways = append(p.Ways, *ways[i])
		case k >= 0 && (!asked || s.ctx.Err() != nil):
			p.Ways = append(p.Ways, kept.Ways[k])
		default:
			p.Skipped = append(p.Skipped, Skipped{m.name, failures[i]})
		}
	}
	return p, nil
}

// wholeWay measures a way, or tells why not.
func (s *session) wholeWay(m *method, w *wholeInput, beside []*Subject) (_ *WholeWay, why string) {
	if why := s.leftOut(m); why != "" {
		return nil, why
	}
	way := &WholeWay{
		ID: m.id, Name: m.name, Of: m.of, Settings: m.settings, Version: s.newResult(m).Version, Date: s.report.Date,
	}
	if err := s.measureWay(m, way, &w.alone, &w.with, beside); err != nil {
		s.Log("  %s: %v", m.name, err)
		return nil, err.Error()
	}
	s.Log("  %-28s %11d bytes, %11d with kernel and initrd", way.Name, way.Alone.Sent, way.Whole.Sent)
	return way, ""
}

// pair gives the figures of the same input in w, or none.
func (w *Whole) pair(p *WholePair) WholePair {
	if w != nil {
		for _, q := range w.Pairs {
			if q.Name == p.Name && q.Plain == p.Plain && q.ImageSum == p.ImageSum && q.TarSum == p.TarSum {
				return q
			}
		}
	}
	return WholePair{}
}

// wholeMethods are the methods of wholeIDs, each with a preparation of its own.
func wholeMethods() []method {
	byID := map[string]method{}
	for _, m := range allMethods() {
		byID[m.id] = m
	}
	var chosen []method
	for _, id := range wholeIDs {
		m := byID[id]
		if m.shares != "" {
			m.publish, m.shares = byID[m.shares].publish, ""
		}
		chosen = append(chosen, m)
	}
	return chosen
}

// measureWay measures a method without and with kernel and initrd. Tools for files bring these as
// further files, tools for tars and trees as parts of them.
func (s *session) measureWay(m *method, way *WholeWay, alone, with *Subject, beside []*Subject) (err error) {
	if way.Alone, err = s.fetch(m, alone); err != nil {
		return err
	}
	switch {
	case ours(m.id):
		way.Name, way.Settings = "deltaup", "publish --kernel --initrd; pull --optimize bytes --artifact"
		boot := bootMethod()
		way.Whole, err = s.fetch(&boot, with)
	case m.of == "image":
		way.Whole = way.Alone
		for _, file := range beside {
			f, err := s.fetch(m, file)
			if err != nil {
				return fmt.Errorf("%s: %w", file.single, err)
			}
			way.Whole.Sent += f.Sent
			way.Whole.Requests += f.Requests
		}
	default:
		way.Whole, err = s.fetch(m, with)
	}
	return err
}

// fetch brings a subject to its new release by a method.
func (s *session) fetch(m *method, subject *Subject) (Fetched, error) {
	pub := filepath.Join(s.dir, "pub", m.id+"-"+filepath.Base(subject.dir)+subject.single)
	defer func() { // the whole scratch folder is removed in the end
		for _, path := range []string{pub, keptState(pub), freshState(pub)} {
			_ = os.RemoveAll(path)
		}
	}()
	r := s.newResult(m)
	if s.publish(m, subject, pub, &r); r.Failure != "" {
		return Fetched{}, errors.New(r.Failure)
	}
	s.pulling.Lock()
	defer s.pulling.Unlock()
	got, err := s.pullFrom(m, subject, pub, Line{}, false)
	return Fetched{got.sent, got.requests}, err
}
