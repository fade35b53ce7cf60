package bench

import "strings"

// bar is a row of a bar chart.
type bar struct {
	name  string
	mark  bool      // one of deltaup's
	parts []float64 // lengths, stacked
	value string    // text at its end
	title string
}

// barChart has a row for each bar.
type barChart struct {
	label   string
	classes []string // CSS classes of the parts
	bars    []bar
}

func (c *barChart) svg() string {
	var b strings.Builder
	for _, l := range layouts {
		b.WriteString(c.draw(l))
	}
	return b.String()
}

func (c *barChart) draw(l layout) string {
	row, names, values := 24.0, 190.0, 110.0
	if l.class == "narrow" {
		row, names, values = 38, 0, 92
	}
	d := newDrawing(l.width, row*float64(len(c.bars))+8)
	longest := 0.0
	for _, b := range c.bars {
		longest = max(longest, b.sum())
	}
	scale := axis{min: 0, max: longest, from: names + 8, to: l.width - values, linear: true}
	for i, b := range c.bars {
		top := row*float64(i) + 4
		class := "name"
		if b.mark {
			class = "name ours"
		}
		if names == 0 {
			d.text(0, top+13, class, "start", b.name)
			top += 18
			scale.from = 0
		} else {
			d.text(names, top+13, class, "end", b.name)
		}
		at := 0.0
		for k, part := range b.parts {
			from, to := scale.at(at), scale.at(at+part)
			d.rect(from, top+1, to-from, 15, barClass(c.classes[k], b.mark), b.title)
			at += part
		}
		d.text(scale.at(at)+6, top+13, "value", "start", b.value)
	}
	return d.picture("chart "+l.class, c.label)
}

func barClass(part string, mark bool) string {
	if mark {
		return "bar mark " + part
	}
	return "bar " + part
}

func (b *bar) sum() (sum float64) {
	for _, p := range b.parts {
		sum += p
	}
	return sum
}
