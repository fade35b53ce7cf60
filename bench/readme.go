package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"text/template"

	_ "embed"
)

//go:embed readme.md.tmpl
var readmeText string

// The bench replaces what a page has between one of these lines and the next end.
const (
	readmeBegin  = "<!-- from bench/results -->\n"
	summaryBegin = "<!-- whole updates, from bench/results -->\n"
	wholeBegin   = "<!-- whole updates in full, from bench/results -->\n"
	readmeEnd    = "<!-- end -->\n"
)

// errNoPlace is the error for a page without these lines.
var errNoPlace = errors.New("no place for the bench's figures")

// WriteReadme puts the report's figures into a page, such as a README, between its marks.
func (r *Report) WriteReadme(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	quoted, err := r.quote(b)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, quoted, 0o644)
}

// quote gives a page with the report's figures between its marks.
func (r *Report) quote(page []byte) ([]byte, error) {
	found := false
	for _, p := range []struct {
		begin  string
		known  bool // without figures what a page has stays
		render func() ([]byte, error)
	}{
		{readmeBegin, true, r.figures},
		{summaryBegin, r.Whole != nil, r.Whole.summary},
		{wholeBegin, r.Whole != nil, r.Whole.markdown},
	} {
		before, rest, ok := bytes.Cut(page, []byte(p.begin))
		found = found || ok
		if !ok || !p.known {
			continue
		}
		_, after, ok := bytes.Cut(rest, []byte(readmeEnd))
		if !ok {
			return nil, errNoPlace
		}
		text, err := p.render()
		if err != nil {
			return nil, err
		}
		page = bytes.Join([][]byte{before, []byte(p.begin), text, []byte(readmeEnd), after}, nil)
	}
	if !found {
		return nil, errNoPlace
	}
	return page, nil
}

// figures renders the first figures, as a README has them.
func (r *Report) figures() ([]byte, error) {
	t, err := template.New("README").Funcs(helpers).Parse(readmeText)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, r.page())
	return wrapMarkdown(b.Bytes(), 100), err
}
