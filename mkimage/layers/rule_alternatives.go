package layers

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"deltaup/mkimage/layers/script"
	"deltaup/mkimage/tree"
)

// alternative is a choice for a name: an --install of update-alternatives(1).
type alternative struct {
	link, name, path string
	priority         int
	slaves           []alternative
}

// alternatives makes the links of the best alternatives. It takes them from the literal --install
// texts of packages' scripts whose paths are all there.
func (c *composition) alternatives() error {
	if c.definition.Rules.Alternatives != "auto" {
		return nil
	}
	best := map[string]alternative{}
	for _, p := range c.packages {
		p.follow(finished{c}, func(_ installScript, effects *script.Effects) {
			for _, w := range effects.Covered {
				a, ok := parseAlternative(w)
				if !ok || c.stage.find(strings.TrimPrefix(a.path, "/")) == nil {
					continue
				}
				if old, known := best[a.name]; !known || a.priority > old.priority {
					best[a.name] = a
				}
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(best)) {
		a := best[name]
		if err := c.alternative(a); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, slave := range a.slaves {
			if c.stage.find(strings.TrimPrefix(slave.path, "/")) == nil {
				continue // as update-alternatives does, for manuals that were left out
			}
			if err := c.alternative(slave); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// alternative makes the two links of a name: to etc/alternatives, and from there to the path.
func (c *composition) alternative(a alternative) error {
	s := c.stage
	link, err := cleanPath(a.link)
	if err != nil {
		return err
	}
	if at, ok := s.resolve(link); ok {
		if old := s.files[at]; old != nil && old.Type != tree.Symlink {
			return fmt.Errorf("%w: /%s is a file of %s", ErrConflict, at, old.from)
		}
	}
	err = s.write(path.Join("etc/alternatives", a.name), s.symlink("alternatives", a.path))
	if err != nil {
		return err
	}
	return s.write(link, s.symlink("alternatives", "/etc/alternatives/"+a.name))
}

// parseAlternative reads a command that installs an alternative by literal words.
func parseAlternative(w []string) (a alternative, ok bool) {
	at := slices.Index(w, "--install")
	if at < 1 || path.Base(w[0]) != "update-alternatives" || len(w) < at+5 {
		return a, false
	}
	a = alternative{link: w[at+1], name: w[at+2], path: w[at+3]}
	var err error
	if a.priority, err = strconv.Atoi(w[at+4]); err != nil {
		return a, false
	}
	for rest := w[at+5:]; len(rest) >= 4 && rest[0] == "--slave"; rest = rest[4:] {
		a.slaves = append(a.slaves, alternative{
			link: rest[1], name: rest[2], path: rest[3],
		})
	}
	return a, word(a.name, "-._+")
}

// parseable tells whether a command installs an alternative by literal words.
func parseable(words []string) bool {
	_, ok := parseAlternative(words)
	return ok
}
