package fontcache

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/tree"
)

// config is what of fontconfig's settings counts for caches.
type config struct {
	dirs   []string // with fonts, absolute
	caches string   // the folder that they are written to, absolute
	rules  []rule

	root *lookup.View
	read map[string]bool // files, by their true paths
}

const (
	settings   = "/etc/fonts"
	textMax    = 4 << 20 // bytes of a file of settings
	includeMax = 16      // depth of files that include others
	filesMax   = 4096
	rulesMax   = 1 << 14
)

// element is one of the settings' XML.
type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Elements []element  `xml:",any"`
}

func (e *element) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// readConfig reads the settings of a tree. Errors wrap ErrUnknown: also settings that fontconfig
// would take and this package does not, and those that it would leave out since they are wrong.
func readConfig(root *lookup.View) (*config, error) {
	c := &config{root: root, read: map[string]bool{}}
	if err := c.include(settings+"/fonts.conf", false, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	if c.caches == "" {
		return nil, fmt.Errorf("%w: %s: no cachedir", ErrUnknown, settings)
	}
	return c, nil
}

// include reads a file of settings, or those of a folder.
func (c *config) include(name string, optional bool, depth int) error {
	e := c.root.Stat(name)
	switch {
	case depth > includeMax || len(c.read) > filesMax:
		return fmt.Errorf("%s: too many files", name)
	case e == nil && optional:
		return nil
	case e == nil:
		return fmt.Errorf("%s: not there", name)
	case e.Type == tree.Directory:
		names := slices.Clone(c.root.Names(name))
		slices.Sort(names)
		for _, n := range names {
			if n[0] >= '0' && n[0] <= '9' && strings.HasSuffix(n, ".conf") && len(n) > len(".conf") {
				if err := c.include(name+"/"+n, true, depth+1); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if c.read[e.Path] {
		return nil
	}
	c.read[e.Path] = true
	text, err := c.root.Read(name, textMax)
	if err != nil {
		return err
	}
	if err := c.parse(text, "/"+e.Path, depth); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// parse takes the settings of a file, of which name is the true path.
func (c *config) parse(text []byte, name string, depth int) error {
	var top element
	d := xml.NewDecoder(bytes.NewReader(text))
	err := d.Decode(&top)
	if err == nil {
		err = onlyBlank(d)
	}
	if err != nil {
		return err
	}
	if top.XMLName.Local != "fontconfig" {
		return fmt.Errorf("the element is %s", top.XMLName.Local)
	}
	for i := range top.Elements {
		if err := c.element(&top.Elements[i], name, depth); err != nil {
			return err
		}
	}
	return nil
}

// onlyBlank reads what is behind the settings.
func onlyBlank(d *xml.Decoder) error {
	for {
		switch t, err := d.Token(); t.(type) {
		case nil:
			if err == io.EOF {
				return nil
			}
			return err
		case xml.StartElement:
			return errors.New("two elements")
		}
	}
}

// element takes one of the settings. name is the true path of the file.
func (c *config) element(e *element, name string, depth int) error {
	text, prefix := e.Text, e.attr("prefix")
	switch e.XMLName.Local {
	case "dir", "cachedir", "include":
		if prefix == "xdg" || strings.HasPrefix(text, "~") {
			return nil // of users
		}
		if prefix == "relative" && e.XMLName.Local == "dir" {
			text = path.Dir(name) + "/" + text
		}
		if text == "" || text != strings.TrimSpace(text) || e.attr("salt") != "" {
			return fmt.Errorf("the %s %q", e.XMLName.Local, text)
		}
	}
	switch e.XMLName.Local {
	case "include":
		if !path.IsAbs(text) {
			text = settings + "/" + text
		}
		missing := strings.ToLower(e.attr("ignore_missing"))
		return c.include(path.Clean(text), slices.Contains([]string{"yes", "true", "1", "y", "t", "on"}, missing), depth+1)
	case "dir":
		if !path.IsAbs(text) {
			return fmt.Errorf("the dir %q", text)
		}
		if text = path.Clean(text); !slices.Contains(c.dirs, text) {
			c.dirs = append(c.dirs, text)
		}
	case "cachedir":
		if !path.IsAbs(text) || path.Clean(text) == "/" {
			return fmt.Errorf("the cachedir %q", text)
		}
		if c.caches == "" {
			c.caches = path.Clean(text)
		}
	case "reset-dirs":
		c.dirs = nil
	case "remap-dir":
		return errors.New("remap-dir")
	case "match":
		if e.attr("target") != "scan" {
			return nil
		}
		r, err := readRule(e)
		if c.rules = append(c.rules, r); len(c.rules) > rulesMax {
			return errors.New("too many rules")
		}
		return err
	}
	return nil
}
