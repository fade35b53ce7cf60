package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// releaseImage is about the size, in bytes, of the images of scaleReleases.
const releaseImage = 20e6

// releaseCounts are the numbers of releases at which it measures.
var releaseCounts = []int{1, 2, 5, 10, 20, 50}

// scaleReleases publishes one edited tree after another and measures how figures grow.
func (s *session) scaleReleases(scale *Scale) error {
	dir := filepath.Join(s.dir, "scale")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir) // the whole scratch folder is removed in the end
	t := scaled{keep: releaseImage / float64(s.report.Subject.ImageSize[0])}
	mirror := filepath.Join(s.dir, "pub", "scale") // below the web server's folder
	defer os.RemoveAll(mirror)
	archive := filepath.Join(dir, "tree.tar")
	image := func(n int) string { return filepath.Join(dir, fmt.Sprintf("%d.squashfs", n)) }
	for n := 1; n <= slices.Max(releaseCounts); n++ {
		t.edits = uint64(n)
		if _, _, err := t.image(s, archive, image(n)); err != nil {
			return err
		}
		h := &host{dir: dir}
		if err := h.run(s.ctx, s.deltaup.path, s.deltaup.publish(mirror, n, image(n))...); err != nil {
			return err
		}
		if slices.Contains(releaseCounts, n) {
			step := ReleaseStep{
				Releases: n,
				Image:    sizeOf(image(n)),
				Mirror:   folderSize(mirror),
				Publish:  h.used,
			}
			want, err := hashFile(image(n))
			if err != nil {
				return err
			}
			if n > 1 {
				if step.Next, err = s.update(update{mirror: mirror, seed: image(n - 1), want: want}, false); err != nil {
					return err
				}
				if step.First, err = s.update(update{mirror: mirror, seed: image(1), want: want}, false); err != nil {
					return err
				}
			}
			s.Log(
				"  %2d releases: mirror %6.1f MB, next %7d bytes, from the first %8d bytes in %.2f s",
				n,
				float64(step.Mirror)/1e6,
				step.Next.Sent,
				step.First.Sent,
				step.First.Wall.Seconds(),
			)
			scale.Releases = append(scale.Releases, step)
		}
		if n > 2 {
			if err := os.Remove(image(n - 1)); err != nil {
				return err
			}
		}
		if s.left() < 0 {
			return fmt.Errorf("no time for more than %d", n)
		}
	}
	return nil
}
