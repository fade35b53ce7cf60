package layers

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"deltaup/mkimage/layers/deb"
)

// dpkg writes the list of packages, so that scanners find versions: a file a package in
// var/lib/dpkg/status.d, as images without dpkg have it, or dpkg's own list.
func (c *composition) dpkg() error {
	s := c.stage
	packages := slices.Clone(c.packages)
	slices.SortFunc(packages, func(a, b *deb.Package) int { return strings.Compare(a.Name, b.Name) })
	var whole strings.Builder
	for _, p := range packages {
		text := strings.TrimRight(p.Paragraph, "\n") + "\n"
		switch c.definition.Rules.Dpkg {
		case "status.d":
			at := path.Join("var/lib/dpkg/status.d", p.Name)
			if err := s.write(at, s.made("dpkg", 0o644, []byte(text))); err != nil {
				return err
			}
		case "whole":
			first, rest, _ := strings.Cut(text, "\n")
			fmt.Fprintf(&whole, "%s\nStatus: install ok installed\n%s\n", first, rest)
		}
	}
	if whole.Len() == 0 {
		return nil
	}
	return s.write("var/lib/dpkg/status", s.made("dpkg", 0o644, []byte(whole.String())))
}
