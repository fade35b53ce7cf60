package layers

import (
	"slices"
	"strings"

	"deltaup/mkimage/layers/script"
)

// diversion moves a path of all packages but one to another one: dpkg-divert(1).
type diversion struct {
	keeper string // the package whose file keeps the path
	to     string
}

// findDiversions reads the diversions that packages' scripts add by literal words and do not remove
// again. dpkg compares paths as packages have them, before links are followed.
func findDiversions(packages []*installed) map[string]diversion {
	found := map[string]diversion{}
	for _, p := range packages {
		p.follow(diverting{}, func(_ installScript, effects *script.Effects) {
			for _, w := range effects.Covered {
				from, d := parseDiversion(w, p.name)
				if slices.Contains(w, "--remove") {
					delete(found, from)
				} else if from != d.to {
					found[from] = d
				}
			}
		})
	}
	return found
}

// diverting is a system of which nothing is known but that it takes diversions.
type diverting struct{}

// Test implements script.System.
func (diverting) Test(string, string) (holds, known bool) { return false, false }

// Covers implements script.System.
func (diverting) Covers(words []string, all bool) bool { return all && literalDiversion(words) }

// literalDiversion tells whether a command is about a diversion with known paths.
func literalDiversion(words []string) bool {
	return words[0] == "dpkg-divert" && strings.HasPrefix(words[len(words)-1], "/")
}

// parseDiversion reads the words of a command about a diversion.
func parseDiversion(words []string, pkg string) (from string, d diversion) {
	d.keeper = pkg
	for i, w := range words {
		if i+1 == len(words) {
			break
		}
		switch w {
		case "--divert":
			d.to = strings.TrimPrefix(words[i+1], "/")
		case "--package":
			d.keeper = words[i+1]
		}
	}
	from = strings.TrimPrefix(words[len(words)-1], "/")
	if slices.Contains(words, "--local") {
		d.keeper = ""
	}
	if d.to == "" {
		d.to = from + ".distrib"
	}
	return from, d
}
