package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// releaseImage is about the size of the image of the scale by releases.
const releaseImage = 20e6

// releaseCounts are the releases after which it is measured.
var releaseCounts = map[int]bool{1: true, 2: true, 5: true, 10: true, 20: true, 50: true}

// scaleReleases publishes one edited tree after another.
func (s *session) scaleReleases() error {
	last := 50
	if s.Quick {
		last = 5
	}
	dir := filepath.Join(s.dir, "scale")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir) // the scratch folder goes in the end
	t := scaled{keep: releaseImage / float64(s.report.Subject.ImageSize[0])}
	mirror := filepath.Join(s.dir, "pub", "scale") // where the web server finds it
	defer os.RemoveAll(mirror)
	image := func(n int) string { return filepath.Join(dir, fmt.Sprintf("%d.squashfs", n)) }
	for n := 1; n <= last; n++ {
		t.edits = uint64(n)
		if err := t.image(s, image(n)); err != nil {
			return err
		}
		h := &host{dir: dir}
		if err := h.run(s.ctx, s.deltaup.path, s.deltaup.publish(mirror, n, image(n))...); err != nil {
			return err
		}
		if releaseCounts[n] {
			step := ReleaseStep{Releases: n, Image: sizeOf(image(n)), Mirror: folderSize(mirror), Publish: h.used}
			var err error
			if n > 1 {
				if step.Next, err = s.update(mirror, image(n-1), image(n), false); err != nil {
					return err
				}
				if step.First, err = s.update(mirror, image(1), image(n), false); err != nil {
					return err
				}
			}
			s.Log("  %2d releases: mirror %6.1f MB, next %7d bytes, from the first %8d bytes in %.2f s", n, float64(step.Mirror)/1e6, step.Next.Sent, step.First.Sent, step.First.Wall.Seconds())
			s.report.Releases = append(s.report.Releases, step)
		}
		if n > 2 {
			if err := os.Remove(image(n - 1)); err != nil {
				return err
			}
		}
		if time.Since(s.start) > time.Duration(scaleShare*float64(s.Budget)) {
			s.Log("  no time for more than %d releases", n)
			break
		}
	}
	return nil
}
