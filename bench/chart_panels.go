package bench

import (
	"fmt"
	"html/template"
)

// panel is a small chart with its heading.
type panel struct {
	Title string
	SVG   template.HTML
}

// curve is one series of a panel.
type curve struct {
	name, class string
	x, y        []float64
	computed    []bool
}

// newPanel draws curves over x, from zero on. Computed points are hollow.
func newPanel(title, xTitle string, xName func(float64) string, y figure, curves ...curve) panel {
	c := lineChart{label: title, x: xTitle, xName: xName, yName: y.tick, yUnit: y.unit, panel: true}
	for _, v := range curves {
		solid, hollow := series{
			name:  v.name,
			class: v.class,
		}, series{
			name:   v.name,
			class:  v.class + " dashed",
			hollow: true,
		}
		for i := range v.x {
			p := [2]float64{v.x[i], v.y[i]}
			at := &solid
			if v.computed != nil && v.computed[i] {
				at = &hollow
				if len(at.points) == 0 && i > 0 { // the dashed line begins where the solid one ends
					at.points = append(at.points, [2]float64{v.x[i-1], v.y[i-1]})
				}
			}
			at.points = append(at.points, p)
			at.dots = append(at.dots, p)
			at.dotTitles = append(at.dotTitles,
				fmt.Sprintf("%s%s: %s", prefixed(v.name), xName(p[0]), y.name(p[1])))
		}
		for _, s := range []series{solid, hollow} {
			if len(s.points) > 0 {
				c.series = append(c.series, s)
			}
		}
	}
	return panel{title, template.HTML(c.svg())}
}

func prefixed(name string) string {
	if name == "" {
		return ""
	}
	return name + ", "
}

// figure says what a panel's y axis shows and how.
type figure struct {
	name, tick func(float64) string       // write a value in full, and short for the axis
	unit       func(most float64) float64 // the unit of which marks are round multiples
}

func one(float64) float64 { return 1 }

var (
	sizes    = figure{bytesName, bytesName, one}
	memories = figure{mebibytes, mebibytes, one}
	times    = figure{secondsName, tickSeconds, func(most float64) float64 {
		if most >= 120 {
			return 60
		}
		return 1
	}}
)

// mebibytes writes a number of MiB.
func mebibytes(n float64) string { return digits(n) + " MiB" }

// sizePanels show how figures grow with the image.
func (s *Scale) sizePanels() []panel {
	if s == nil {
		return nil
	}
	return stepPanels(s.Sizes, "image", bytesName, func(s SizeStep) int64 { return s.Image })
}

// filePanels show how figures grow with the image's files.
func (s *Scale) filePanels() []panel {
	if s == nil {
		return nil
	}
	return stepPanels(s.Files, "files", countName, func(s SizeStep) int64 { return s.Files })
}

// changePanels show how figures grow with the change.
func (s *Scale) changePanels() []panel {
	if s == nil {
		return nil
	}
	return stepPanels(s.Changes, "files that change", countName,
		func(s SizeStep) int64 { return s.Changed })
}

// countName names a whole number.
func countName(v float64) string { return fmt.Sprintf("%.0f", v) }

// stepPanels show how figures grow over what at gives of each step.
func stepPanels(steps []SizeStep, x string, xName func(float64) string,
	at func(SizeStep) int64) []panel {
	if len(steps) < 2 {
		return nil
	}
	of := func(name, class string, value func(SizeStep) float64) curve {
		c := curve{name: name, class: class}
		for _, step := range steps {
			c.x, c.y, c.computed = append(c.x, float64(at(step))), append(c.y,
				value(step)), append(c.computed, step.Computed)
		}
		return c
	}
	return []panel{
		newPanel("bytes sent for the update", x, xName, sizes,
			of("", "c-deltaup", func(s SizeStep) float64 { return float64(s.Sent) })),
		newPanel(
			"time of plan and of pull",
			x,
			xName,
			times,
			of("first plan", "c-casync",
				func(s SizeStep) float64 { return s.First.Wall.Seconds() }),
			of("plan", "c-zstd", func(s SizeStep) float64 { return s.Plan.Wall.Seconds() }),
			of("pull", "c-deltaup", func(s SizeStep) float64 { return s.Pull.Wall.Seconds() }),
		),
		newPanel(
			"peak memory of pull and publish",
			x,
			xName,
			memories,
			of("pull", "c-deltaup",
				func(s SizeStep) float64 { return float64(s.Pull.Memory) / (1 << 20) }),
			of(
				"publish",
				"c-zstd",
				func(s SizeStep) float64 { return float64(s.Publish.Memory) / (1 << 20) },
			),
		),
		newPanel("time to publish", x, xName, times,
			of("", "c-zstd", func(s SizeStep) float64 { return s.Publish.Wall.Seconds() })),
		newPanel("mirror with two releases", x, xName, sizes,
			of("", "c-zstd", func(s SizeStep) float64 { return float64(s.Mirror) })),
	}
}

// releasePanels show how figures grow with the releases on the mirror.
func (s *Scale) releasePanels() []panel {
	if s == nil || len(s.Releases) < 3 {
		return nil
	}
	of := func(name, class string, value func(ReleaseStep) float64) curve {
		c := curve{name: name, class: class}
		for _, step := range s.Releases[1:] { // nothing leads to the first release
			c.x, c.y = append(c.x, float64(step.Releases)), append(c.y, value(step))
		}
		return c
	}
	const x = "releases on the mirror"
	return []panel{
		newPanel(
			"bytes sent: from the release before, and from the first",
			x,
			countName,
			sizes,
			of("from the release before", "c-deltaup",
				func(s ReleaseStep) float64 { return float64(s.Next.Sent) }),
			of(
				"from the first",
				"c-casync",
				func(s ReleaseStep) float64 { return float64(s.First.Sent) },
			),
		),
		newPanel(
			"time of the pull: from the release before, and from the first",
			x,
			countName,
			times,
			of("from the release before", "c-deltaup",
				func(s ReleaseStep) float64 { return s.Next.Wall.Seconds() }),
			of(
				"from the first",
				"c-casync",
				func(s ReleaseStep) float64 { return s.First.Wall.Seconds() },
			),
		),
		newPanel(
			"peak memory of pull and publish",
			x,
			countName,
			memories,
			of("pull", "c-deltaup",
				func(s ReleaseStep) float64 { return float64(s.Next.Memory) / (1 << 20) }),
			of(
				"publish",
				"c-zstd",
				func(s ReleaseStep) float64 { return float64(s.Publish.Memory) / (1 << 20) },
			),
		),
		newPanel("time to publish one more", x, countName, times,
			of("", "c-zstd", func(s ReleaseStep) float64 { return s.Publish.Wall.Seconds() })),
		newPanel("size of the mirror", x, countName, sizes,
			of("", "c-zstd", func(s ReleaseStep) float64 { return float64(s.Mirror) })),
	}
}
