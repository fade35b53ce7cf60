package layers

import (
	"bytes"
	"fmt"
	"strings"

	"deltaup/mkimage/layers/busybox"
)

// applets makes the links of busybox: those of the list that Alpine's package has, or of the program
// that the definition names. What has another file keeps it, as with busybox --install.
func (c *composition) applets() error {
	s, from := c.stage, c.definition.Rules.Applets
	if from == "none" {
		return nil
	}
	name, program := busybox.PathsFile, "bin/busybox"
	parse := busybox.ParsePaths
	if from != "auto" {
		name = strings.TrimPrefix(from, "/")
		program = name
		parse = func(b []byte) ([]string, error) { return busybox.Applets(bytes.NewReader(b)) }
	}
	content, ok, err := s.read(name)
	switch {
	case err != nil:
		return err
	case !ok && from == "auto":
		return nil
	case !ok:
		return wrong("applets: the tree has no program /%s", name)
	}
	paths, err := parse(content)
	if err != nil {
		return fmt.Errorf("/%s: %w", name, err)
	}
	for _, p := range paths {
		if at, ok := s.resolve(p); !ok || s.files[at] != nil {
			continue
		}
		if err := s.write(p, s.symlink("applets", "/"+program)); err != nil {
			return err
		}
	}
	return nil
}
