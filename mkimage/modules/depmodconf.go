package modules

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"deltaup/mkimage/tree"
)

// depmodConfig is what depmod.d(5) says.
type depmodConfig struct {
	overrides []string // modules by their paths below the kernel's folder, without .ko
	searches  []string // folders below the kernel's folder, "built-in" or "external"; last one first
	externals []string // folders
	excludes  []string // names of folders
}

// Words for folders in a search.
const (
	searchBuiltin  = "built-in"
	searchExternal = "external"
)

// configure reads the configuration. A file in an earlier folder hides those with its name in later
// ones.
func (d *depmod) configure() error {
	folders := []string{"/etc/depmod.d", "/run/depmod.d", "/usr/local/lib/depmod.d", "/usr/lib/depmod.d", "/lib/depmod.d"}
	files := map[string]string{}
	var names []string
	for _, folder := range folders {
		for _, name := range d.root.Names(folder) {
			e := d.root.Stat(folder + "/" + name)
			if name[0] == '.' || len(name) < 6 || !strings.HasSuffix(name, ".conf") ||
				e == nil || e.Type == tree.Directory || files[name] != "" {
				continue
			}
			files[name] = folder + "/" + name
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		const configMax = 1 << 20
		b, err := d.root.Read(files[name], configMax)
		if errors.Is(err, fs.ErrInvalid) {
			continue // no file
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrModule, err)
		}
		d.config.parse(string(b), d.version)
	}
	if len(d.config.searches) == 0 {
		d.config.searches = []string{"updates"}
	}
	return nil
}

// parse reads one file. Lines that depmod does not take are ignored, as it does.
func (c *depmodConfig) parse(text, version string) {
	text = strings.ReplaceAll(text, "\\\n", "")
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "search":
			for _, w := range words[1:] {
				c.searches = slices.Insert(c.searches, 0, w)
			}
		case "override":
			if len(words) >= 4 && isKernel(words[2], version) {
				c.overrides = slices.Insert(c.overrides, 0, words[3]+"/"+words[1])
			}
		case "external":
			if len(words) >= 3 && isKernel(words[1], version) {
				c.externals = slices.Insert(c.externals, 0, words[2])
			}
		case "exclude":
			c.excludes = append(c.excludes, words[1:]...)
		}
	}
}

// isKernel tells whether a kernel's version fits an extended regular expression, or "*".
func isKernel(pattern, version string) bool {
	if pattern == "*" {
		return true
	}
	re, err := regexp.CompilePOSIX(pattern)
	return err == nil && re.MatchString(version)
}

// prefers tells whether module m counts instead of the old one with its name, which was found
// before it.
func (c *depmodConfig) prefers(dir string, m, old *kernelModule) bool {
	stem := func(m *kernelModule) string { // path without suffixes
		return m.path[:strings.LastIndexByte(m.path, '/')+1+len(m.name)]
	}
	below := func(stem string) string {
		if rest, ok := strings.CutPrefix(stem, dir+"/"); ok {
			return rest
		}
		return ""
	}
	isIn := func(folder, path string) bool { return strings.HasPrefix(path, folder+"/") }
	newStem, oldStem := stem(m), stem(old)
	newRel, oldRel := below(newStem), below(oldStem)
	for _, o := range c.overrides {
		switch o {
		case newRel:
			return true
		case oldRel:
			return false
		}
	}
	builtin, newPlace, oldPlace := -1, -1, -1
	i := 0
	for _, s := range c.searches {
		switch {
		case s == searchBuiltin:
			builtin = i
		case s == searchExternal:
			for _, e := range c.externals {
				if isIn(e, newStem) {
					newPlace = i
				}
				if isIn(e, oldStem) {
					oldPlace = i
				}
				i++
			}
		case isIn(s, newRel):
			newPlace = i
		case isIn(s, oldRel):
			oldPlace = i
		}
		i++
	}
	if newPlace < 0 {
		newPlace = builtin
	}
	if oldPlace < 0 {
		oldPlace = builtin
	}
	return newPlace > oldPlace
}
