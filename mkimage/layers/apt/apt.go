// Package apt resolves the names of packages to locked ones, by the distribution's own solver. It
// is the one part of composing that starts a program: apt(8), with a root of its own, so that
// neither the packages of this machine nor its settings count.
package apt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"deltaup/internal/plainfile"
	"deltaup/mkimage/layers"
	"deltaup/mkimage/layers/deb"
)

// ErrApt is wrapped when apt is not there, or refuses what it is asked for.
var ErrApt = errors.New("apt")

// Resolve gives the lock of a definition's packages. It fetches the lists of packages from the
// definition's sources, and takes the system's folder for temporary files.
func Resolve(ctx context.Context, d *layers.Definition) (_ *layers.Lock, err error) {
	dir, err := os.MkdirTemp("", "deltaup-apt-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &root{dir: dir, definition: d}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	if _, err := r.run(ctx, "apt-get", "--quiet", "update"); err != nil {
		return nil, err
	}
	lock := &layers.Lock{Layers: d.LockedLayers()}
	var names []string
	taken := map[string]bool{}
	for i := range d.Layers {
		l := &d.Layers[i]
		if len(l.Packages) == 0 {
			continue
		}
		names = append(names, l.Packages...)
		found, err := r.solve(ctx, names)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", l.Name, err)
		}
		for _, p := range found {
			if id := p.Name + ":" + p.Architecture; !taken[id] {
				taken[id] = true
				p.Layer = l.Name
				lock.Packages = append(lock.Packages, p)
			}
		}
	}
	return lock, lock.Sort()
}

const keyringMax = 16 << 20 // bytes

// root is a folder in which apt finds its settings and keeps its lists.
type root struct {
	dir        string
	definition *layers.Definition
}

func (r *root) prepare() error {
	for _, sub := range []string{
		"etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/apt.conf.d", "etc/apt/auth.conf.d",
		"etc/apt/trusted.gpg.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial",
		"var/lib/dpkg",
	} {
		if err := os.MkdirAll(filepath.Join(r.dir, sub), 0o755); err != nil {
			return err
		}
	}
	d := r.definition
	var settings strings.Builder
	for _, s := range []struct{ name, value string }{
		{"Dir", r.dir},
		{"Dir::State::status", filepath.Join(r.dir, "var/lib/dpkg/status")},
		{"APT::Architecture", d.Architecture},
		{"APT::Install-Recommends", strconv.FormatBool(d.Apt.Recommends)},
		{"APT::Get::AllowUnauthenticated", "false"},
		{"APT::Sandbox::User", ""},
		{"Acquire::Languages", "none"},
	} {
		fmt.Fprintf(&settings, "%s %q;\n", s.name, s.value)
	}
	fmt.Fprintf(&settings, "APT::Architectures { %q; };\n", d.Architecture)
	if len(d.Apt.Sources) == 0 { // those of this machine, with their keys
		for _, s := range []struct{ name, path string }{
			{"sourcelist", "sources.list"}, {"sourceparts", "sources.list.d"},
			{"trusted", "trusted.gpg"}, {"trustedparts", "trusted.gpg.d"}, {"netrc", "auth.conf"},
			{"netrcparts", "auth.conf.d"},
		} {
			fmt.Fprintf(&settings, "Dir::Etc::%s %q;\n", s.name, "/etc/apt/"+s.path)
		}
	}
	sources := strings.Join(d.Apt.Sources, "\n") + "\n"
	if d.Apt.Keyring != "" {
		key, err := plainfile.Read(d.Apt.Keyring, keyringMax)
		if err != nil {
			return err
		}
		name := "etc/apt/trusted.gpg.d/keyring" + path.Ext(d.Apt.Keyring)
		if err := os.WriteFile(filepath.Join(r.dir, name), key, 0o644); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"apt.conf": settings.String(), "etc/apt/sources.list": sources, "var/lib/dpkg/status": "",
	} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// run runs a program of apt, and gives what it prints.
func (r *root) run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(r.dir, "apt.conf"), "LC_ALL=C")
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(problems.String())
		if text == "" {
			return "", fmt.Errorf("%w: %w", ErrApt, err)
		}
		return "", fmt.Errorf("%w: %s", ErrApt, strings.ReplaceAll(text, "\n", "; "))
	}
	return out.String(), nil
}

// uri is a line of apt-get --print-uris: address, name of the file, size in bytes.
var uri = regexp.MustCompile(`^'([^']+)' (\S+) (\d+)`)

// solve gives the packages that installing names takes.
func (r *root) solve(ctx context.Context, names []string) ([]layers.Locked, error) {
	args := append([]string{"--quiet", "--yes", "--print-uris", "install", "--"}, names...)
	out, err := r.run(ctx, "apt-get", args...)
	if err != nil {
		return nil, err
	}
	addresses := map[string]string{} // by the last name of the path
	var wanted []string
	for line := range strings.Lines(out) {
		m := uri.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		// the file's name is NAME_VERSION_ARCHITECTURE.deb, percent-encoded
		name, err := url.PathUnescape(strings.TrimSuffix(m[2], ".deb"))
		words := strings.Split(name, "_")
		if err != nil || len(words) != 3 {
			return nil, fmt.Errorf("%w: the file name %q", ErrApt, m[2])
		}
		wanted = append(wanted, words[0]+":"+words[2]+"="+words[1])
		addresses[words[0]+" "+words[1]+" "+words[2]] = m[1]
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	args = append([]string{"show", "--"}, archAll(wanted, r.definition.Architecture)...)
	out, err = r.run(ctx, "apt-cache", args...)
	if err != nil {
		return nil, err
	}
	return readParagraphs(out, addresses)
}

// archAll spells the architecture of packages that are for all as apt wants it.
func archAll(wanted []string, native string) []string {
	for i, w := range wanted {
		wanted[i] = strings.Replace(w, ":all=", ":"+native+"=", 1)
	}
	return wanted
}

// readParagraphs gives the packages that have an address.
func readParagraphs(text string, addresses map[string]string) (list []layers.Locked, err error) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if strings.TrimSpace(paragraph) == "" {
			continue
		}
		fields, err := deb.ParseParagraph(paragraph)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrApt, err)
		}
		p := layers.Locked{
			Name: fields["Package"], Version: fields["Version"],
			Architecture: fields["Architecture"], SHA256: fields["SHA256"],
		}
		key := p.Name + " " + p.Version + " " + p.Architecture
		p.URL = addresses[key]
		if p.URL == "" {
			continue // another source has it, too
		}
		delete(addresses, key)
		if p.Size, err = strconv.ParseInt(fields["Size"], 10, 64); err != nil || p.SHA256 == "" {
			return nil, fmt.Errorf("%w: %s has no size or no SHA-256", ErrApt, p.Name)
		}
		list = append(list, p)
	}
	for key := range addresses {
		return nil, fmt.Errorf("%w: it does not show %s", ErrApt, key)
	}
	return list, nil
}
