package alpine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"deltaup/mkimage/layers"
	"deltaup/mkimage/layers/apk"
)

// root is a folder in which apk finds its settings and the indexes.
type root struct {
	dir          string
	architecture string
	keys         string // the definition's folder with keys
	repositories []repository
}

// repository is one whose index is there.
type repository struct {
	at    layers.ApkRepository
	index *apk.Index
	dir   string // as apk knows it
}

// runDir is how apk, which is run in a root, names that folder. To apk, spaces end the name of a
// repository and dollars begin that of a variable: the folder for temporary files may have both.
const runDir = "/proc/self/cwd"

// fetch fetches the index of a repository, and puts it where apk looks for that of a repository in
// a folder. It does so for each kind of index and repository: apk tells generations by content.
func (r *root) fetch(ctx context.Context, at layers.ApkRepository, keys apk.Keys,
	cache *layers.Downloads) error {
	text, err := cache.Read(ctx, at.Index, indexMax)
	if err != nil {
		return err
	}
	index, err := apk.ReadIndex(bytes.NewReader(text), keys)
	if err != nil {
		return fmt.Errorf("%s: %w", at.Index, err)
	}
	name := filepath.Join("repositories", strconv.Itoa(len(r.repositories)))
	r.repositories = append(r.repositories, repository{at, index, filepath.Join(runDir, name)})
	dir := filepath.Join(r.dir, name, r.architecture)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "APKINDEX.tar.gz"), text, 0o644)
}

// prepare writes the settings.
func (r *root) prepare() error {
	for _, sub := range []string{"etc/apk/keys", "lib/apk/db", "var/cache/apk"} {
		if err := os.MkdirAll(filepath.Join(r.dir, sub), 0o755); err != nil {
			return err
		}
	}
	err := apk.EachKey(r.keys, func(name string, text []byte) error {
		return os.WriteFile(filepath.Join(r.dir, "etc/apk/keys", name), text, 0o644)
	})
	if err != nil {
		return err
	}
	var lines strings.Builder
	for _, re := range r.repositories {
		fmt.Fprintln(&lines, strings.TrimSpace(re.at.Tag+" "+re.dir))
	}
	for name, text := range map[string]string{
		"etc/apk/repositories": lines.String(), "etc/apk/arch": r.architecture + "\n",
		"lib/apk/db/installed": "",
	} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// programs are names that apk may have: its own, and that of Alpine's package apk-tools-static,
// which runs on any Linux.
var programs = []string{"apk", "apk.static"}

// run runs apk in the root, and gives what it prints and what it warns of.
func (r *root) run(ctx context.Context, args ...string) (out, warnings string, err error) {
	program := ""
	for _, name := range programs {
		if program, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		return "", "", fmt.Errorf("%w: neither apk nor apk.static is in PATH; the latter is in "+
			"Alpine's package apk-tools-static, for any Linux", ErrApk)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = r.dir
	// settings of the user do not count
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "APK_CONFIG=/dev/null"}
	var printed, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &problems
	err = cmd.Run()
	warnings = r.readable(problems.String())
	if err != nil {
		if warnings == "" {
			warnings = err.Error()
		}
		return "", "", fmt.Errorf("%w: %s", ErrApk, warnings)
	}
	return printed.String(), warnings, nil
}

// readable gives what apk prints as one line, in which repositories have the names of the
// definition.
func (r *root) readable(text string) string {
	for _, re := range r.repositories {
		text = strings.ReplaceAll(text, filepath.Join(re.dir, r.architecture, "APKINDEX.tar.gz"), re.at.Index)
		text = strings.ReplaceAll(text, re.dir+":", re.at.Index+":")
	}
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.ReplaceAll(strings.Join(lines, "; "), ":; ", ": ")
}

// installing is a line of apk add: its place, a name, perhaps with a tag, and a version.
var installing = regexp.MustCompile(`^\( *(\d+)/(\d+)\) Installing ([^ @]+)(@[^ ]+)? \(([^ ()]+)\)$`)

// solve gives the packages that a world takes.
func (r *root) solve(ctx context.Context, world []string) ([]solution, error) {
	if err := r.checkGeneration(ctx); err != nil {
		return nil, err
	}
	text := strings.Join(world, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(r.dir, "etc/apk/world"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	out, warnings, err := r.run(ctx, "--root", r.dir, "--arch", r.architecture, "--no-network",
		"--no-cache", "--no-progress", "add", "--simulate")
	if err != nil {
		return nil, err
	}
	for _, re := range r.repositories {
		// apk goes on without an index that it cannot read
		if strings.Contains(warnings, re.at.Index) {
			return nil, fmt.Errorf("%w: %s", ErrApk, warnings)
		}
	}
	return r.readSolution(out)
}

// readSolution reads what apk add would install.
func (r *root) readSolution(text string) (list []solution, err error) {
	total := 0
	for line := range strings.Lines(text) {
		m := installing.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			if strings.HasPrefix(line, "(") {
				return nil, fmt.Errorf("%w: it would do something else than install: %.200q", ErrApk, line)
			}
			continue
		}
		if total, err = strconv.Atoi(m[2]); err != nil || m[1] != strconv.Itoa(len(list)+1) {
			return nil, fmt.Errorf("%w: the line %.200q is not in order", ErrApk, line)
		}
		s, err := r.find(m[3], m[5])
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	if len(list) != total {
		return nil, fmt.Errorf("%w: it shows %d of %d packages", ErrApk, len(list), total)
	}
	return list, nil
}

// find finds a package in the indexes.
func (r *root) find(name, version string) (solution, error) {
	var found *solution
	var where string
	for _, re := range r.repositories {
		for _, l := range re.index.Packages {
			if l.Name != name || l.Version != version ||
				l.Architecture != r.architecture && l.Architecture != "noarch" {
				continue
			}
			if found != nil && !bytes.Equal(l.Hash, found.listed.Hash) {
				return solution{}, fmt.Errorf("%w: %s is not the same in %s and %s; give one of them "+
					"another version", ErrApk, l, where, re.at.Index)
			}
			if found != nil {
				continue
			}
			path, err := re.index.Path(l, re.at.Alone)
			if err != nil {
				return solution{}, fmt.Errorf("%s: %w", re.at.Index, err)
			}
			found, where = &solution{url: re.at.Base + "/" + path, listed: l}, re.at.Index
		}
	}
	if found == nil {
		return solution{}, fmt.Errorf("%w: it takes %s %s, which no index has", ErrApk, name, version)
	}
	return *found, nil
}

// generation is what apk --version prints.
var generation = regexp.MustCompile(`^apk-tools (\d+)\.\S+`)

// checkGeneration refuses an apk that cannot read an index.
func (r *root) checkGeneration(ctx context.Context) error {
	for _, re := range r.repositories {
		if re.index.Generation < 3 {
			continue
		}
		out, _, err := r.run(ctx, "--version")
		if err != nil {
			return err
		}
		m := generation.FindStringSubmatch(out)
		if m == nil {
			return fmt.Errorf("%w: its version is %.80q", ErrApk, out)
		}
		if n, err := strconv.Atoi(m[1]); err != nil || n < 3 {
			return fmt.Errorf("%w: %s is of the third generation, which takes apk-tools 3, not %s",
				ErrApk, re.at.Index, strings.TrimSuffix(m[0], ","))
		}
		return nil
	}
	return nil
}
