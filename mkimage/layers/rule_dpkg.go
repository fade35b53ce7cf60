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
	var packages []*deb.Package
	for _, p := range c.packages {
		if p.debian != nil {
			packages = append(packages, p.debian)
		}
	}
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
			if err := c.dpkgInfo(p); err != nil {
				return err
			}
		}
	}
	if whole.Len() == 0 {
		return nil
	}
	return s.write("var/lib/dpkg/status", s.made("dpkg", 0o644, []byte(whole.String())))
}

// dpkgInfo writes what dpkg keeps of one package: its control files, and the list of its paths.
func (c *composition) dpkgInfo(p *deb.Package) error {
	name := p.Name
	if fields, err := deb.ParseParagraph(p.Paragraph); err == nil && fields["Multi-Arch"] == "same" {
		name += ":" + p.Architecture
	}
	var list strings.Builder
	for _, e := range p.Entries() {
		if e.Path == "" {
			list.WriteString("/.\n")
			continue
		}
		list.WriteString("/" + e.Path + "\n")
	}
	files := map[string][]byte{"list": []byte(list.String())}
	for control, content := range p.Control {
		files[control] = content
	}
	for control, content := range files {
		mode := uint16(0o644)
		if slices.Contains([]string{"preinst", "postinst", "prerm", "postrm", "config"}, control) {
			mode = 0o755
		}
		at := path.Join("var/lib/dpkg/info", name+"."+control)
		if err := c.stage.write(at, c.stage.made("dpkg", mode, content)); err != nil {
			return err
		}
	}
	return nil
}
