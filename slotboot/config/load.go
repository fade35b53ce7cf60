package config

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"deltaup/internal/plainfile"
)

// Load reads and checks the file at path. Whatever is wrong with it is an [Error].
func Load(path string) (*Config, error) {
	f, err := plainfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	b, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	return parse(path, b)
}

func parse(file string, b []byte) (*Config, error) {
	if len(b) > maxSize {
		return nil, &Error{File: file, Text: "longer than 1 MiB"}
	}
	c := &Config{
		Channel: "stable",
		State:   "/var/lib/deltaup",
		Boot: Boot{Loader: "grub", Grubenv: "/boot/deltaup/grubenv", Attempts: 3,
			Data: DataFallback},
		File: file,
	}
	dec := toml.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(c); err != nil {
		return nil, located(file, err)
	}
	for i := range c.Slots {
		if s := &c.Slots[i]; s.Image == "" && onDevice(s.Path) {
			s.Image = s.Path
		}
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// located turns an error of the TOML library into ours. It names the first of several unknown keys.
func located(file string, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		first := &unknown.Errors[0]
		line, _ := first.Position()
		return &Error{
			File: file,
			line: line,
			Key:  strings.Join(first.Key(), "."),
			Text: "unknown key",
		}
	}
	var wrong *toml.DecodeError
	if !errors.As(err, &wrong) {
		return &Error{File: file, Text: err.Error()}
	}
	line, _ := wrong.Position()
	text := strings.TrimPrefix(wrong.Error(), "toml: ")
	// names of Go mean nothing to the author of the file
	if what, _, ok := strings.Cut(text, " into struct field "); ok {
		text = strings.Replace(what, "cannot decode ", "does not take a ", 1)
	}
	return &Error{File: file, line: line, Key: strings.Join(wrong.Key(), "."), Text: text}
}
