package bench

import (
	"fmt"
	"slices"
)

// grown is a figure at the beginning and at the end of a scale.
type grown struct {
	name     string
	from, to float64
	unit     func(float64) string
}

func (g grown) String() string {
	return fmt.Sprintf("%s: %s, from %s to %s", g.name, timesName(g.from, g.to), g.unit(g.from),
		g.unit(g.to))
}

// timesName says how many times from goes into to.
func timesName(from, to float64) string {
	if from == 0 {
		return "?"
	}
	return digits(to/from) + " times"
}

// sizeGrowth says how figures grow from the smallest image to the largest measured one.
func (s *Scale) sizeGrowth() []string {
	if s == nil {
		return nil
	}
	return stepGrowth(s.Sizes, func(a, b SizeStep) string {
		return fmt.Sprintf(
			"The image grows %s, from %s to %s, by files that do not change; what changes stays the same.",
			timesName(float64(a.Image), float64(b.Image)),
			bytesName(float64(a.Image)),
			bytesName(float64(b.Image)),
		)
	})
}

// fileGrowth says how figures grow from the fewest files to the most that were measured.
func (s *Scale) fileGrowth() []string {
	if s == nil {
		return nil
	}
	return stepGrowth(s.Files, func(a, b SizeStep) string {
		return fmt.Sprintf(
			"The number of files grows %s, from %d to %d, by small ones that do not change; what changes stays the same.",
			timesName(float64(a.Files), float64(b.Files)), a.Files, b.Files)
	})
}

// changeGrowth says how figures grow from the least change to the greatest.
func (s *Scale) changeGrowth() []string {
	if s == nil {
		return nil
	}
	return stepGrowth(s.Changes, func(a, b SizeStep) string {
		return fmt.Sprintf(
			"The change grows %s, from %d files to %d; the image, of %s, stays the same.",
			timesName(float64(a.Changed), float64(b.Changed)), a.Changed, b.Changed,
			bytesName(float64(b.Image)))
	})
}

// stepGrowth says how figures grow from the first step to the last measured one, and in the first
// line, by head, what else does.
func stepGrowth(steps []SizeStep, head func(a, b SizeStep) string) []string {
	run := slices.DeleteFunc(slices.Clone(steps), func(s SizeStep) bool { return s.Computed })
	if len(run) < 2 {
		return nil
	}
	a, b := run[0], run[len(run)-1]
	all := []string{head(a, b)}
	for _, g := range []grown{
		{"bytes sent", float64(a.Sent), float64(b.Sent), bytesName},
		{"time of the first plan (the seed is read once)", a.First.Wall.Seconds(), b.First.Wall.Seconds(), secondsName},
		{"time to plan with the seed's recipe, which is kept", a.Plan.Wall.Seconds(), b.Plan.Wall.Seconds(), secondsName},
		{"time to pull with it (the image is written and read back)", a.Pull.Wall.Seconds(), b.Pull.Wall.Seconds(), secondsName},
		{"peak memory of the pull", float64(a.Pull.Memory), float64(b.Pull.Memory), memoryName},
		{"time to publish (the image is read, copied and cut)", a.Publish.Wall.Seconds(), b.Publish.Wall.Seconds(), secondsName},
		{"peak memory of publish", float64(a.Publish.Memory), float64(b.Publish.Memory), memoryName},
		{"mirror, with both finished images", float64(a.Mirror), float64(b.Mirror), bytesName},
		{"time until a pull goes on that was cut off halfway, without a seed", a.Cut.Again.Wall.Seconds(), b.Cut.Again.Wall.Seconds(), secondsName},
	} {
		if g.from > 0 || g.to > 0 { // a run of before has no such figure
			all = append(all, g.String())
		}
	}
	return all
}

// releaseGrowth says how figures grow from the second release to the last.
func (s *Scale) releaseGrowth() []string {
	if s == nil || len(s.Releases) < 3 {
		return nil
	}
	a, b := s.Releases[1], s.Releases[len(s.Releases)-1]
	all := []string{
		fmt.Sprintf(
			"From %d releases to %d, images of %s:",
			a.Releases,
			b.Releases,
			bytesName(float64(b.Image)),
		),
	}
	for _, g := range []grown{
		{"bytes sent to the one before", float64(a.Next.Sent), float64(b.Next.Sent), bytesName},
		{"bytes sent to the first, which is ever further behind", float64(a.First.Sent), float64(b.First.Sent), bytesName},
		{"time to pull from the one before", a.Next.Wall.Seconds(), b.Next.Wall.Seconds(), secondsName},
		{"peak memory of that pull", float64(a.Next.Memory), float64(b.Next.Memory), memoryName},
		{"time to publish one more", a.Publish.Wall.Seconds(), b.Publish.Wall.Seconds(), secondsName},
		{"mirror", float64(a.Mirror), float64(b.Mirror), bytesName},
	} {
		all = append(all, g.String())
	}
	each := float64(b.Mirror-a.Mirror) / float64(b.Releases-a.Releases)
	return append(
		all,
		fmt.Sprintf(
			"each release adds %s to the mirror, of which its finished image is %s",
			bytesName(each),
			bytesName(float64(b.Image)),
		),
	)
}

// about says where and when the scale was measured.
func (s *Scale) about() string {
	if s == nil {
		return ""
	}
	m := &s.Machine
	return fmt.Sprintf(
		"A run of its own: %s, deltaup %s, files of the %s pair, level %s, one run for each figure, on %s, %d cores, %s of memory, scratch on %s, in %s.",
		s.Date.Format("2 January 2006"),
		m.Commit,
		s.Subject,
		s.Level,
		m.CPU,
		m.Cores,
		memoryName(float64(m.Memory)),
		m.Disk,
		secondsName(s.Took.Seconds()),
	)
}
