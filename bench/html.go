package bench

import (
	"bytes"
	"html/template"
	"slices"
	"strings"
	"time"

	_ "embed"
)

//go:embed report.html.tmpl
var htmlText string

// htmlPage is a page with its pictures.
type htmlPage struct {
	*page
	Crossover, CrossoverWeak, RoundTrips                template.HTML
	Bytes, Memory, Time, TimeWeak                       template.HTML
	BarLine                                             string
	Tools                                               []string // classes of the curves' colours
	WeakPercent                                         float64
	SizePanels, FilePanels, ChangePanels, ReleasePanels []panel
}

// HTML renders the report as one page that needs nothing else: no script, and no font or picture
// from elsewhere.
func (r *Report) HTML() ([]byte, error) {
	t, err := template.New("report.html").Funcs(helpers).Parse(htmlText)
	if err != nil {
		return nil, err
	}
	bars := Line{Rate: 10e6, RTT: 50 * time.Millisecond}
	p := r.page()
	p.Verdict = strings.ReplaceAll(p.Verdict, " × ", "\u00a0×\u00a0") // no line ends there
	var b bytes.Buffer
	err = t.Execute(&b, &htmlPage{
		page: p, Crossover: r.crossover(false), CrossoverWeak: r.crossover(true), RoundTrips: r.roundTrips(),
		Bytes: r.byteBars(), Memory: r.memoryBars(), Time: r.timeBars(bars, false), TimeWeak: r.timeBars(bars, true), BarLine: bars.String(), Tools: curveTools(), WeakPercent: 100 * r.Weak.Share,
		SizePanels: r.Scale.sizePanels(), FilePanels: r.Scale.filePanels(), ChangePanels: r.Scale.changePanels(), ReleasePanels: r.Scale.releasePanels(),
	})
	return b.Bytes(), err
}

// curveTools are the tools with coloured curves.
func curveTools() []string {
	var tools []string
	for _, m := range curveMethods {
		tool, _, _ := strings.Cut(m.id, "-")
		if !slices.Contains(tools, tool) {
			tools = append(tools, tool)
		}
	}
	return tools
}
