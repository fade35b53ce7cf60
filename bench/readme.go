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

// The bench replaces what a README has between these lines.
const (
	readmeBegin = "<!-- from bench/results -->\n"
	readmeEnd   = "<!-- end -->\n"
)

// errNoPlace is the error for a README without these lines.
var errNoPlace = errors.New("no place for the bench's figures")

// WriteReadme puts the report's figures into a README, between its marks.
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

// quote gives a README with the report's figures between its marks.
func (r *Report) quote(readme []byte) ([]byte, error) {
	before, rest, ok := bytes.Cut(readme, []byte(readmeBegin))
	if !ok {
		return nil, errNoPlace
	}
	_, after, ok := bytes.Cut(rest, []byte(readmeEnd))
	if !ok {
		return nil, errNoPlace
	}
	t, err := template.New("README").Funcs(helpers).Parse(readmeText)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Write(before)
	out.WriteString(readmeBegin)
	if err := t.Execute(&out, r.page()); err != nil {
		return nil, err
	}
	out.WriteString(readmeEnd)
	out.Write(after)
	return out.Bytes(), nil
}
