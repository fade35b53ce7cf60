package bench

import (
	"bytes"
	"fmt"
	"slices"
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

// summary renders deltaup beside its peers.
func (w *Whole) summary() ([]byte, error) {
	peers := w.peers()
	var all []Standing
	for _, p := range w.Pairs {
		all = append(all, p.standings(peers)...)
	}
	var heads []string
	for _, id := range peers {
		heads = append(heads, peerName(id))
	}
	return w.render(wholeReadmeText, struct {
		When      string
		Peers     []string
		Standings []Standing
	}{w.Date.Format("2 January 2006"), heads, all})
}

// peers are the ids of the ways that deltaup is compared with, the same for all pairs: of each kind
// the first that was measured.
func (w *Whole) peers() []string {
	var peers []string
	for _, kind := range [][]string{
		{"ostree-offline"}, {"desync-image", "casync-image"}, {"hdiffz-tar", "zstd-tar"},
	} {
		i := slices.IndexFunc(kind, func(id string) bool {
			return slices.ContainsFunc(w.Pairs, func(p WholePair) bool { return p.way(id) != nil })
		})
		if i >= 0 {
			peers = append(peers, kind[i])
		}
	}
	return peers
}

// way gives the figures of a way, or nil.
func (p WholePair) way(id string) *WholeWay {
	for i := range p.Ways {
		if p.Ways[i].ID == id {
			return &p.Ways[i]
		}
	}
	return nil
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

// standings compares deltaup with its peers, without and with kernel and initrd.
func (p WholePair) standings(peers []string) []Standing {
	name := p.Name
	if p.Plain {
		name += ", plain modules"
	}
	return []Standing{
		p.standing(name+": image", peers, func(w *WholeWay) int64 { return w.Alone.Sent }),
		p.standing(name+": with kernel and initrd", peers,
			func(w *WholeWay) int64 { return w.Whole.Sent }),
	}
}

func (p WholePair) standing(measure string, peers []string, of func(*WholeWay) int64) Standing {
	s := Standing{Measure: measure}
	var own, least float64
	if w := p.way("deltaup-bytes"); w != nil {
		own = float64(of(w))
		s.Ours = bytesName(own)
	}
	for _, id := range peers {
		w := p.way(id)
		if w == nil {
			s.Peers = append(s.Peers, "not run")
			continue
		}
		sent := float64(of(w))
		s.Peers = append(s.Peers, bytesName(sent))
		if s.Best == "" || sent < least {
			s.Best, least = peerName(id), sent
		}
	}
	s.Ahead, s.Ratio = own < least, ratioName(own, least)
	return s
}
