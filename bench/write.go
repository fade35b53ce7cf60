package bench

import (
	"os"
	"path/filepath"
)

// WriteFiles writes results.json, results.md and report.html to dir, which is made when it does not exist.
func (r *Report) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range []struct {
		name   string
		encode func() ([]byte, error)
	}{
		{"results.json", r.Encode},
		{"results.md", r.Markdown},
		{"report.html", r.HTML},
	} {
		b, err := f.encode()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
