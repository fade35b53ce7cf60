package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// The scales: what becomes of deltaup's figures as the image grows while the change stays, and as
// releases gather on the mirror. Their trees are some of the subject's files, a few of them edited from one release to the
// next, and for size random files that stay the same.

// sizes of images; those that a run has no time for are computed from the two largest that it had.
var (
	scaleSizes = []int64{100e6, 500e6, 2e9, 8e9}
	quickSizes = []int64{30e6, 60e6, 120e6}
)

// scaleShare is the part of the budget, after which no larger step is begun.
const scaleShare = 0.85

// scaleCopies is how often a size lies in the scratch folder: two images and one's tar, both again on the
// mirror with the chunks beside them, the slot, and some room for others.
const scaleCopies = 8

func (s *session) scales() error {
	if s.NoScale {
		return nil
	}
	if err := s.scaleReleases(); err != nil {
		return err
	}
	return s.scaleSizes()
}

// scaleSizes measures a step of the same change at several image sizes.
func (s *session) scaleSizes() error {
	nominal := scaleSizes
	if s.Quick {
		nominal = quickSizes
	}
	base := s.report.Subject.ImageSize[0]
	perByte := 0.0 // seconds that the last step took
	for _, size := range nominal {
		late := time.Since(s.start).Seconds()+perByte*float64(size) > scaleShare*s.Budget.Seconds()
		if late || freeSpace(s.dir) < scaleCopies*size {
			if len(s.report.Sizes) > 1 {
				s.report.Sizes = append(s.report.Sizes, extrapolate(s.report.Sizes, size))
			}
			continue
		}
		start := time.Now()
		core := min(releaseImage, float64(size)/2)
		t := scaled{keep: core / float64(base), fill: size - int64(core)}
		step, err := s.sizeStep(t)
		if err != nil {
			return err
		}
		perByte = time.Since(start).Seconds() / float64(size)
		s.Log("  an image of %6.0f MB: %7d bytes in %6.2f s, published in %6.1f s", float64(step.Image)/1e6, step.Sent, step.Pull.Wall.Seconds(), step.Publish.Wall.Seconds())
		s.report.Sizes = append(s.report.Sizes, step)
	}
	return nil
}

func (s *session) sizeStep(t scaled) (step SizeStep, err error) {
	dir := filepath.Join(s.dir, "scale")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return step, err
	}
	defer os.RemoveAll(dir) // the scratch folder goes in the end
	mirror := filepath.Join(s.dir, "pub", "scale")
	defer os.RemoveAll(mirror)
	var images [2]string
	for v := range images {
		images[v] = filepath.Join(dir, fmt.Sprintf("v%d.squashfs", v+1))
		t.edits = uint64(v)
		if err := t.image(s, images[v]); err != nil {
			return step, err
		}
		h := &host{dir: dir}
		if err := h.run(s.ctx, s.deltaup.path, s.deltaup.publish(mirror, v+1, images[v])...); err != nil {
			return step, err
		}
		step.Publish = h.used
	}
	step.Image, step.Mirror = sizeOf(images[1]), folderSize(mirror)
	plan, err := s.update(mirror, images[0], images[1], true)
	if err != nil {
		return step, err
	}
	pull, err := s.update(mirror, images[0], images[1], false)
	step.Plan, step.Pull, step.Sent, step.Requests = plan.Usage, pull.Usage, pull.Sent, pull.Requests
	return step, err
}

// update plans or pulls a mirror's newest release, told to keep the bytes small, with an image as seed and compares the result.
func (s *session) update(mirror, seed, want string, planOnly bool) (Update, error) {
	var used sample
	t := &target{subject: &s.report.Subject, deltaup: s.deltaup, of: "image", kept: mirror}
	err := s.withTarget(s.ctx, t, Line{}, false, func() error {
		args := []string{t.url, "--seed", seed, "--state", filepath.Join(t.dir, "state"), "--json", "--optimize", "bytes"}
		if planOnly {
			return t.run(s.ctx, s.deltaup.path, s.deltaup.command("plan", args...)...)
		}
		out, err := t.output(s.ctx, s.deltaup.path, s.deltaup.command("pull", append(args, "--slot", t.out)...)...)
		if err != nil {
			return err
		}
		e, err := lastEvent(out)
		if err != nil {
			return err
		}
		t.route = e.Route
		return sameFiles(t.out, want)
	}, &used)
	return Update{Usage: used.Usage, Sent: used.sent, Requests: used.requests, Route: t.route}, err
}

// sameFiles compares two files by hash.
func sameFiles(a, b string) error {
	sumA, err := hashFile(a)
	if err != nil {
		return err
	}
	sumB, err := hashFile(b)
	if err == nil && sumA != sumB {
		err = fmt.Errorf("%s differs from %s", a, b)
	}
	return err
}

// extrapolate computes a larger step along the line through the two largest of at least two.
func extrapolate(run []SizeStep, size int64) SizeStep {
	a, b := run[len(run)-2], run[len(run)-1]
	x := float64(size-a.Image) / float64(b.Image-a.Image)
	along := func(va, vb int64) int64 { return va + int64(x*float64(vb-va)) }
	usage := func(ua, ub Usage) Usage {
		return Usage{
			time.Duration(along(int64(ua.Wall), int64(ub.Wall))),
			time.Duration(along(int64(ua.CPU), int64(ub.CPU))), along(ua.Memory, ub.Memory),
		}
	}
	return SizeStep{
		Image: size, Computed: true, Mirror: along(a.Mirror, b.Mirror), Publish: usage(a.Publish, b.Publish),
		Plan: usage(a.Plan, b.Plan), Pull: usage(a.Pull, b.Pull), Sent: along(a.Sent, b.Sent), Requests: along(a.Requests, b.Requests),
	}
}
