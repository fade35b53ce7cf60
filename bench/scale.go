package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Scale is how deltaup's figures grow: with the image, with its files and with the number of
// releases on the mirror when the change stays the same, and with the change when the image does.
// Measuring it takes as long as everything else together, so it
// is a run of its own, with its own date, in scale.json beside the report's other files. Its trees
// have some of a real tree's files, of which a few are edited from one release to the next, and
// random and small files, which give size and number and stay the same.
type Scale struct {
	Format   int           `json:"format"` // 1
	Date     time.Time     `json:"date"`
	Took     time.Duration `json:"took_ns"`
	Machine  Machine       `json:"machine"`
	Subject  string        `json:"subject"` // the tree whose files are edited
	Level    string        `json:"level"`   // deltaup mkimage --level
	Sizes    []SizeStep    `json:"sizes"`
	Files    []SizeStep    `json:"files"`
	Changes  []SizeStep    `json:"changes"`
	Releases []ReleaseStep `json:"releases"`
	Skipped  []Skipped     `json:"skipped"`
}

// scaleSizes are the sizes of images, in bytes; scaleFiles the numbers of files; scaleEdits the
// numbers of edits from one release to the next, in an image of changedImage bytes. A run that lacks
// the time or the disk for a step computes it from the two largest that it has measured, unless
// that is one of edits.
var (
	scaleSizes   = []int64{100e6, 500e6, 2e9, 8e9}
	scaleFiles   = []int64{10e3, 50e3, 150e3, 500e3}
	scaleEdits   = []int64{1, 4, 16, 64}
	changedImage = int64(200e6)
)

// scaleCopies is how many times an image's size the scratch folder takes at most: both images, both
// again on the mirror with the chunks beside them, or a tar and a slot, and some room for others.
const scaleCopies = 6

// RunScale measures the scale on the old tree of the pair.
func RunScale(ctx context.Context, o Options) (_ *Scale, err error) {
	s, remove, err := newSession(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	stop, err := s.startServers()
	if err != nil {
		return nil, err
	}
	defer stop()
	dir := filepath.Join(s.dir, "subject")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	s.Log("an image of %s", s.Name)
	subject := &s.report.Subject
	subject.Name, subject.Level, subject.dir = s.Name, s.Level, dir
	if err := subject.prepare(ctx, s.deltaup, 0, s.Pair[0]); err != nil {
		return nil, err
	}
	scale := &Scale{
		Format:  reportFormat,
		Date:    s.report.Date,
		Machine: s.report.Machine,
		Subject: s.Name,
		Level:   s.Level,
	}
	for _, part := range []struct {
		name string
		run  func(*Scale) error
	}{
		{"releases", s.scaleReleases}, {"changes", s.scaleChanges}, {"files", s.scaleFiles},
		{"sizes", s.scaleSizes},
	} {
		if len(s.Only) > 0 && !slices.Contains(s.Only, part.name) {
			continue
		}
		s.Log("%s", part.name)
		if err := part.run(scale); err != nil { // what was measured so far is worth a report
			s.Log("  %s: %v", part.name, err)
			scale.Skipped = append(scale.Skipped, Skipped{part.name, err.Error()})
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	scale.Took = time.Since(s.start)
	return scale, nil
}

// scaleStep is a step that is to be measured.
type scaleStep struct {
	name string
	at   int64 // where it lies among the others
	tree scaled
	// edits from the first release to the second
	edits uint64
	size  int64 // bytes of the image, about
}

// core is a tree with one in so many of the subject's files as an image of so many bytes has.
func (s *session) core(size float64) scaled {
	return scaled{keep: size / float64(s.report.Subject.ImageSize[0])}
}

// scaleSizes measures the same change at several image sizes.
func (s *session) scaleSizes(scale *Scale) error {
	var all []scaleStep
	for _, size := range scaleSizes {
		core := min(releaseImage, float64(size)/2)
		t := s.core(core)
		t.fill = size - int64(core)
		all = append(all, scaleStep{"an image of " + bytesName(float64(size)), size, t, 1, size})
	}
	return s.steps(scale, &scale.Sizes, all, func(step *SizeStep) *int64 { return &step.Image })
}

// scaleFiles measures the same change at several numbers of files.
func (s *session) scaleFiles(scale *Scale) error {
	var all []scaleStep
	for _, n := range scaleFiles {
		t := s.core(releaseImage)
		t.small = n
		all = append(all,
			scaleStep{fmt.Sprintf("%d small files", n), n, t, 1, n*smallSize + releaseImage})
	}
	return s.steps(scale, &scale.Files, all, func(step *SizeStep) *int64 { return &step.Files })
}

// scaleChanges measures several changes in images of the same size.
func (s *session) scaleChanges(scale *Scale) error {
	var all []scaleStep
	for _, n := range scaleEdits {
		core := min(releaseImage, float64(changedImage)/2)
		t := s.core(core)
		t.fill = changedImage - int64(core)
		all = append(all, scaleStep{fmt.Sprintf("%d edits", n), n, t, uint64(n), changedImage})
	}
	return s.steps(scale, &scale.Changes, all, nil)
}

// steps measures steps. What it has no time or disk for it computes along x, unless that is nil.
func (s *session) steps(scale *Scale, done *[]SizeStep, all []scaleStep,
	x func(*SizeStep) *int64) error {
	perByte := 0.0 // seconds a byte that the last step took
	for _, p := range all {
		late := time.Duration(perByte*float64(p.size)*float64(time.Second)) > s.left()
		if late || freeSpace(s.dir) < scaleCopies*p.size {
			why := "no time left"
			if !late {
				why = fmt.Sprintf("it needs %s of disk", bytesName(float64(scaleCopies*p.size)))
			}
			s.Log("  %s: %s", p.name, why)
			scale.Skipped = append(scale.Skipped, Skipped{p.name, why})
			if len(*done) > 1 && x != nil {
				*done = append(*done, extrapolate(*done, x, p.at))
			}
			continue
		}
		start := time.Now()
		step, err := s.sizeStep(p)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		perByte = time.Since(start).Seconds() / float64(p.size)
		s.Log("  %-20s %d of %d files changed: %7d bytes, planned in %6.2f s, again in %5.2f s, "+
			"pulled in %6.2f s with %4.0f MiB, published in %6.1f s with %4.0f MiB; "+
			"cut off, it began in %.2f s (CPU %.2f s)",
			p.name, step.Changed, step.Files, step.Sent, step.First.Wall.Seconds(),
			step.Plan.Wall.Seconds(), step.Pull.Wall.Seconds(),
			float64(step.Pull.Memory)/(1<<20), step.Publish.Wall.Seconds(),
			float64(step.Publish.Memory)/(1<<20), step.Cut.Again.Wall.Seconds(),
			step.Cut.Again.CPU.Seconds())
		*done = append(*done, step)
	}
	return nil
}

func (s *session) sizeStep(p scaleStep) (step SizeStep, err error) {
	dir := filepath.Join(s.dir, "scale")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return step, err
	}
	defer os.RemoveAll(dir) // the whole scratch folder is removed in the end
	mirror := filepath.Join(s.dir, "pub", "scale")
	defer os.RemoveAll(mirror)
	archive := filepath.Join(dir, "tree.tar")
	var images [2]string
	t := p.tree
	for v := range images {
		images[v] = filepath.Join(dir, fmt.Sprintf("v%d.squashfs", v+1))
		t.edits = uint64(v) * p.edits
		var n count
		if step.Mkimage, n, err = t.image(s, archive, images[v]); err != nil {
			return step, err
		}
		step.Files, step.Changed = n.files, n.edited
		if v == 1 {
			if err := os.Remove(archive); err != nil {
				return step, err
			}
		}
		h := &host{dir: dir}
		publish := s.deltaup.publish(mirror, v+1, images[v])
		if err := h.run(s.ctx, s.deltaup.path, publish...); err != nil {
			return step, err
		}
		step.Publish = h.used
	}
	step.Image, step.Mirror = sizeOf(images[1]), folderSize(mirror)
	want, err := hashFile(images[1])
	if err != nil {
		return step, err
	}
	if err := os.Remove(images[1]); err != nil { // make room for the slot
		return step, err
	}
	u := update{mirror: mirror, seed: images[0], want: want, state: filepath.Join(dir, "state")}
	for _, usage := range []*Usage{&step.First, &step.Plan} {
		plan, err := s.update(u, true)
		if err != nil {
			return step, err
		}
		*usage = plan.Usage
	}
	pull, err := s.update(u, false)
	if err != nil {
		return step, err
	}
	step.Pull, step.Sent, step.Requests = pull.Usage, pull.Sent, pull.Requests
	step.Cut, err = s.cut(u)
	return step, err
}

// update is an update from the image seed to the newest release of a mirror, whose image has the
// hash want.
type update struct{ mirror, seed, want, state string }

// update plans or pulls, with the fewest bytes. The state folder "" is the target's own, which is
// empty.
func (s *session) update(u update, planOnly bool) (Update, error) {
	var used sample
	t := &target{
		subject: &s.report.Subject, deltaup: s.deltaup, of: "image", kept: u.mirror,
		network: s.network,
	}
	err := s.withTarget(s.ctx, t, Line{}, false, func() error {
		args := []string{
			t.url, "--seed", u.seed, "--state", cmp.Or(u.state, t.state()),
			"--json", "--optimize", "bytes",
		}
		if planOnly {
			return t.run(s.ctx, s.deltaup.path, s.deltaup.command("plan", args...)...)
		}
		pull := s.deltaup.command("pull", append(args, "--slot", t.out)...)
		out, err := t.output(s.ctx, s.deltaup.path, pull...)
		if err != nil {
			return err
		}
		e, err := lastEvent(out)
		if err != nil {
			return err
		}
		t.route = e.Route
		sum, err := hashFile(t.out)
		if err == nil && sum != u.want {
			err = fmt.Errorf("the result has the hash %s, want %s", sum, u.want)
		}
		return err
	}, &used)
	return Update{Usage: used.Usage, Sent: used.sent, Requests: used.requests, Route: t.route}, err
}

// extrapolate computes the step that lies at a larger value of x, on the line through the last two
// of run.
func extrapolate(run []SizeStep, x func(*SizeStep) *int64, at int64) SizeStep {
	a, b := run[len(run)-2], run[len(run)-1]
	share := float64(at-*x(&a)) / float64(*x(&b)-*x(&a))
	along := func(va, vb int64) int64 { return va + int64(share*float64(vb-va)) }
	usage := func(ua, ub Usage) Usage {
		return Usage{
			time.Duration(along(int64(ua.Wall), int64(ub.Wall))),
			time.Duration(along(int64(ua.CPU), int64(ub.CPU))),
			along(ua.Memory, ub.Memory),
		}
	}
	step := SizeStep{
		Image:    along(a.Image, b.Image),
		Files:    along(a.Files, b.Files),
		Changed:  along(a.Changed, b.Changed),
		Computed: true,
		Mirror:   along(a.Mirror, b.Mirror),
		Mkimage:  usage(a.Mkimage, b.Mkimage),
		Publish:  usage(a.Publish, b.Publish),
		First:    usage(a.First, b.First),
		Plan:     usage(a.Plan, b.Plan),
		Pull:     usage(a.Pull, b.Pull),
		Sent:     along(a.Sent, b.Sent),
		Requests: along(a.Requests, b.Requests),
		Cut: Cut{
			Whole:   along(a.Cut.Whole, b.Cut.Whole),
			Fetched: along(a.Cut.Fetched, b.Cut.Fetched),
			Left:    along(a.Cut.Left, b.Cut.Left),
			Again:   usage(a.Cut.Again, b.Cut.Again),
		},
	}
	*x(&step) = at
	return step
}
