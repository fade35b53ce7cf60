package config

import (
	"bytes"
	"errors"
	"io"

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
	tree, err := parseTree(b)
	if err == nil {
		err = tree.decode("", c.fields())
	}
	if err != nil {
		return nil, located(file, b, err)
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

// located is the error for what is wrong in the file.
func located(file string, b []byte, err error) error {
	var m *mistake
	if !errors.As(err, &m) {
		return &Error{File: file, Text: err.Error()}
	}
	line := 1 + bytes.Count(b[:m.offset], []byte("\n"))
	return &Error{File: file, line: line, Key: m.key, Text: m.text}
}
