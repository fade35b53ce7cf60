package bench

import (
	"bytes"
	"text/template"

	_ "embed"
)

//go:embed results.md.tmpl
var markdownText string

// helpers are the functions of both templates.
var helpers = map[string]any{
	"bytes":   bytesName,
	"memory":  memoryName,
	"seconds": secondsName,
	"float":   func(n int64) float64 { return float64(n) },
}

// Markdown renders the report as a page of tables.
func (r *Report) Markdown() ([]byte, error) {
	t, err := template.New("results.md").Funcs(helpers).Parse(markdownText)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, r.page())
	return b.Bytes(), err
}
