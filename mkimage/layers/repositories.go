package layers

import (
	"cmp"
	"net/url"
	"path"
	"strings"
	"unicode"
)

// Alpine tells whether packages by name are Alpine's.
func (d *Definition) Alpine() bool { return len(d.Apk.Repositories) > 0 }

// apkArchitectures are Alpine's names of architectures, by Debian's.
var apkArchitectures = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64", "armhf": "armv7", "i386": "x86", "loong64": "loongarch64",
	"ppc64el": "ppc64le", "riscv64": "riscv64", "s390x": "s390x",
}

// ApkArchitecture gives the architecture as Alpine calls it.
func (d *Definition) ApkArchitecture() string {
	return cmp.Or(d.Apk.Architecture, apkArchitectures[d.Architecture])
}

// validateApk checks what apk is asked for.
func (d *Definition) validateApk() error {
	switch {
	case len(d.Apt.Sources) > 0:
		return wrong("packages come from the sources of apt or from the repositories of apk: want one")
	case d.Apk.Keys == "":
		return wrong("apk: keys is missing: the folder with public keys of the repositories")
	case !word(d.ApkArchitecture(), "_"):
		return wrong("apk: architecture is missing, such as x86_64")
	}
	if _, err := d.Repositories(); err != nil {
		return err
	}
	for i := range d.Layers {
		for _, name := range d.Layers[i].Packages {
			if name == "" || strings.ContainsFunc(name, notInWorld) {
				return wrong("layer %s: package %q: want a name, or NAME@TAG, NAME=VERSION or !NAME",
					d.Layers[i].Name, name)
			}
		}
	}
	return nil
}

// notInWorld tells the letters that would end a word of apk's world.
func notInWorld(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// ApkRepository is a place of Alpine's packages.
type ApkRepository struct {
	Tag   string // with the @; packages with this tag alone come from here. "": all may
	Index string // address of the index
	Base  string // address below which the packages lie
	Alone bool   // there is just this index: no folder for each architecture
}

// Repositories gives the repositories of the definition, in its order. Errors wrap ErrDefinition.
func (d *Definition) Repositories() (list []ApkRepository, err error) {
	for _, line := range d.Apk.Repositories {
		words := strings.Fields(line)
		kind := ""
		if len(words) > 1 && (words[0] == "ndx" || words[0] == "v2" || words[0] == "v3") {
			kind, words = words[0], words[1:]
		}
		r := ApkRepository{}
		if len(words) > 1 && strings.HasPrefix(words[0], "@") && words[0] != "@" {
			r.Tag, words = words[0], words[1:]
		}
		if len(words) == 0 || strings.ContainsFunc(line, unicode.IsControl) {
			return nil, wrong("apk: repository %q: want an address", line)
		}
		base, ok := address(words[0])
		components := words[1:]
		if kind == "" && (strings.HasSuffix(base, ".adb") || strings.HasSuffix(base, ".tar.gz")) {
			kind = "ndx"
		}
		if !ok || kind == "ndx" && len(components) > 0 || strings.Contains(line, "$") {
			return nil, wrong("apk: repository %q: want an address of http, https or file, or an "+
				"absolute path, perhaps with v2, v3 or ndx and a @TAG before it", line)
		}
		if kind == "ndx" {
			r.Index, r.Base, r.Alone = base, base[:strings.LastIndex(base, "/")], true
			list = append(list, r)
			continue
		}
		if len(components) == 0 {
			components = []string{""}
		}
		for _, c := range components {
			r.Base = strings.TrimRight(base, "/")
			if c != "" {
				r.Base += "/" + strings.Trim(c, "/")
			}
			r.Index = r.Base + "/" + d.ApkArchitecture() + "/" + indexNames[kind]
			list = append(list, r)
		}
	}
	return list, nil
}

// indexNames are the names of indexes, by the kinds of repositories.
var indexNames = map[string]string{
	"": "APKINDEX.tar.gz", "v2": "APKINDEX.tar.gz", "v3": "Packages.adb",
}

// address gives the address of a repository, which may be an absolute path.
func address(s string) (string, bool) {
	if strings.HasPrefix(s, "/") {
		s = (&url.URL{Scheme: "file", Path: path.Clean(s)}).String()
	}
	u, err := url.Parse(s)
	if err != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", false
	}
	switch u.Scheme {
	case "http", "https":
		return s, u.Host != ""
	case "file":
		return s, u.Host == "" && strings.HasPrefix(u.Path, "/")
	}
	return "", false
}
