package bench

import (
	"bytes"
	"fmt"
	"text/template"

	_ "embed"
)

//go:embed whole.md.tmpl
var wholeText string

//go:embed whole.readme.md.tmpl
var wholeReadmeText string

// markdown renders the tables of all pairs.
func (w *Whole) markdown() ([]byte, error) {
	return w.render(wholeText, w)
}

// summary renders deltaup beside the best of the others.
func (w *Whole) summary() ([]byte, error) {
	var all []Standing
	for _, p := range w.Pairs {
		all = append(all, p.standings()...)
	}
	return w.render(wholeReadmeText, struct {
		When      string
		Standings []Standing
	}{w.Date.Format("2 January 2006"), all})
}

func (w *Whole) render(text string, data any) ([]byte, error) {
	t, err := template.New("whole").Funcs(helpers).Funcs(template.FuncMap{"sizes": WholePair.sizes}).Parse(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, data)
	return wrapMarkdown(b.Bytes(), 100), err
}

// sizes tells how large the new release is.
func (p WholePair) sizes() string {
	return fmt.Sprintf("an image of %s, a kernel of %s, an initrd of %s", bytesName(float64(p.Image[1])),
		bytesName(float64(p.Kernel[1])), bytesName(float64(p.Initrd[1])))
}

// standings compares deltaup with the best of the others, without and with kernel and initrd.
func (p WholePair) standings() []Standing {
	name := p.Name
	if p.Plain {
		name += ", plain modules"
	}
	return []Standing{
		p.standing(name+": image", func(w WholeWay) Fetched { return w.Alone }),
		p.standing(name+": with kernel and initrd", func(w WholeWay) Fetched { return w.Whole }),
	}
}

func (p WholePair) standing(measure string, of func(WholeWay) Fetched) Standing {
	s := Standing{Measure: measure}
	var image, other int64 // the least so far
	for _, w := range p.Ways {
		sent := of(w).Sent
		figure := bytesName(float64(sent))
		if ours(w.ID) {
			s.Ours = figure
			continue
		}
		figure += " (" + w.Name + ")"
		if w.Of == "image" && (image == 0 || sent < image) {
			s.Image, image = figure, sent
		}
		if other == 0 || sent < other {
			s.Any, other = figure, sent
		}
	}
	return s
}
