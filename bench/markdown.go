package bench

import (
	"bytes"
	"strings"
	"text/template"
	"unicode/utf8"

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
	return wrapMarkdown(b.Bytes(), 100), err
}

// wrapMarkdown breaks the lines of paragraphs and lists that have more than width letters; tables
// and headings stay.
func wrapMarkdown(page []byte, width int) []byte {
	var b bytes.Buffer
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "|") || strings.HasPrefix(line, "#") {
			b.WriteString(line)
			continue
		}
		indent, column := "", 0
		if strings.HasPrefix(line, "- ") {
			indent = "  "
		}
		for i, word := range strings.Fields(line) {
			n := utf8.RuneCountInString(word)
			switch {
			case i == 0:
			case column+1+n > width:
				b.WriteString("\n" + indent)
				column = len(indent)
			default:
				b.WriteByte(' ')
				column++
			}
			b.WriteString(word)
			column += n
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}
