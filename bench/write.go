package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Names of the files of a report.
const (
	resultsName = "results.json"
	scaleName   = "scale.json"
	wholeName   = "whole.json"
)

// reportFormat is the format number of all JSON files.
const reportFormat = 1

// Read reads results.json of a folder, and scale.json and whole.json if there are any.
func Read(dir string) (*Report, error) {
	r := new(Report)
	if err := decode(filepath.Join(dir, resultsName), r, &r.Format); err != nil {
		return nil, err
	}
	var err error
	if r.Scale, err = ReadScale(dir); err != nil {
		return nil, err
	}
	r.Whole, err = ReadWhole(dir)
	return r, err
}

// ReadScale reads scale.json of a folder. It gives nil when there is none.
func ReadScale(dir string) (*Scale, error) {
	s := new(Scale)
	err := decode(filepath.Join(dir, scaleName), s, &s.Format)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return s, nil
}

// ReadWhole reads whole.json of a folder. It gives nil when there is none.
func ReadWhole(dir string) (*Whole, error) {
	w := new(Whole)
	err := decode(filepath.Join(dir, wholeName), w, &w.Format)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return w, nil
}

// decode reads a JSON file, and refuses another format than reportFormat.
func decode(path string, v any, format *int) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if *format != reportFormat {
		return fmt.Errorf("%s: format %d, want %d", path, *format, reportFormat)
	}
	return nil
}

// encode encodes what [decode] reads.
func encode(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", " ")
	return append(b, '\n'), err
}

// WriteFiles writes results.json, results.md, report.html and, if there is a scale, scale.json to
// dir, which it makes if necessary.
func (r *Report) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range []struct {
		name   string
		encode func() ([]byte, error)
	}{
		{resultsName, func() ([]byte, error) { return encode(r) }},
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
	if r.Scale == nil {
		return nil
	}
	return r.Scale.WriteFile(dir)
}

// WriteFile writes scale.json to dir, which it makes if necessary.
func (s *Scale) WriteFile(dir string) error { return writeJSON(dir, scaleName, s) }

// WriteFile writes whole.json to dir, which it makes if necessary.
func (w *Whole) WriteFile(dir string) error { return writeJSON(dir, wholeName, w) }

func writeJSON(dir, name string, v any) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := encode(v)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), b, 0o644)
}
