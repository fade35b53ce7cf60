// Package adopt makes the tree of a root file system one that deltaup updates: it gives the program
// for targets, the units of systemd, what an initramfs is made with, the rules of settings, the
// configuration and the trust root their places. [Files] says what these are; [Into] puts them into
// a folder.
package adopt

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"deltaup/dist"
	"deltaup/internal/plainfile"
	"deltaup/slotboot/config"
)

// ErrSettings is wrapped when what is to be put into a tree is not what it should be.
var ErrSettings = errors.New("adopt")

// Settings are paths of this machine. Those that are "" are left out, but Program.
type Settings struct {
	Program string `toml:"program"` // deltaup for the target's processor, best built with -tags target
	Config  string `toml:"config"`  // deltaup.toml, for machines that have none of their own
	Root    string `toml:"root"`    // root.json: whom the machine trusts
}

// File is one that is put into a tree. Folders above it have the mode 0755.
type File struct {
	Path    string
	Mode    uint16
	Content []byte
	Target  string // not "": it is a symbolic link
	Folder  bool   // it is a folder, which may be there
}

// Bounds of what is read, in bytes.
const (
	programMax = 256 << 20
	textMax    = 1 << 20
)

// machines are the processors of programs, as Debian calls them.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "armhf": elf.EM_ARM, "i386": elf.EM_386,
	"riscv64": elf.EM_RISCV, "s390x": elf.EM_S390, "ppc64el": elf.EM_PPC64,
}

// Files gives what is put into a tree for an architecture as Debian calls it, "" for any. has tells
// whether the tree has a path. Errors wrap ErrSettings, or are the system's.
func Files(s Settings, architecture string, has func(path string) bool) (list []File, err error) {
	program, err := readProgram(s.Program, architecture)
	if err != nil {
		return nil, err
	}
	list = append(list, File{Path: "usr/bin/deltaup", Mode: 0o755, Content: program})
	if s.Config != "" {
		if _, err := config.Load(s.Config); err != nil {
			return nil, err
		}
		text, err := plainfile.Read(s.Config, textMax)
		if err != nil {
			return nil, err
		}
		list = append(list, File{Path: "usr/lib/deltaup/deltaup.toml", Mode: 0o644, Content: text})
	}
	if s.Root != "" {
		text, err := plainfile.Read(s.Root, textMax)
		if err != nil {
			return nil, err
		}
		if !json.Valid(text) {
			return nil, fmt.Errorf("%w: %s is no root.json", ErrSettings, s.Root)
		}
		list = append(list, File{Path: "usr/lib/deltaup/root.json", Mode: 0o644, Content: text})
	}
	for _, dir := range []string{"data", "boot"} { // to mount on
		list = append(list, File{Path: dir, Mode: 0o755, Folder: true})
	}
	units, err := unitFiles()
	if err != nil {
		return nil, err
	}
	rules, err := ruleFiles()
	if err != nil {
		return nil, err
	}
	initramfs, err := initramfsFiles(has)
	return slices.Concat(list, units, rules, initramfs), err
}

// ruleFiles gives the rules that say what of a machine outlives its image. A tree may have more of
// them, under other names.
func ruleFiles() (list []File, err error) {
	entries, err := dist.Files.ReadDir("settings.d")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		content, err := dist.Files.ReadFile(path.Join("settings.d", e.Name()))
		if err != nil {
			return nil, err
		}
		list = append(list, File{Path: path.Join("usr/lib/deltaup/settings.d", e.Name()), Mode: 0o644, Content: content})
	}
	return list, nil
}

func readProgram(name, architecture string) ([]byte, error) {
	if name == "" {
		return nil, fmt.Errorf("%w: the program for targets is missing", ErrSettings)
	}
	program, err := plainfile.Read(name, programMax)
	if err != nil {
		return nil, err
	}
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return nil, fmt.Errorf("%w: %s is no program of Linux: %w", ErrSettings, name, err)
	}
	if want, ok := machines[architecture]; ok && f.Machine != want {
		return nil, fmt.Errorf("%w: %s is for %v, the image for %s", ErrSettings, name, f.Machine,
			architecture)
	}
	return program, nil
}

// unitFiles gives the units, and the links of those that the preset enables.
func unitFiles() (list []File, err error) {
	err = fs.WalkDir(dist.Files, "systemd", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := dist.Files.ReadFile(name)
		if err != nil {
			return err
		}
		dir := "usr/lib/systemd/system"
		if strings.HasSuffix(name, ".preset") {
			dir += "-preset"
			list = append(list, enabled(string(content))...)
		}
		list = append(list, File{Path: path.Join(dir, path.Base(name)), Mode: 0o644, Content: content})
		return nil
	})
	return list, err
}

// enabled gives the links of the units that a preset enables.
func enabled(preset string) (list []File) {
	for line := range strings.Lines(preset) {
		w := strings.Fields(line)
		if len(w) != 2 || w[0] != "enable" {
			continue
		}
		text, err := dist.Files.ReadFile("systemd/" + w[1])
		if err != nil {
			panic(err) // a test reads all of them
		}
		for line := range strings.Lines(string(text)) {
			by, ok := strings.CutPrefix(strings.TrimSpace(line), "WantedBy=")
			if !ok {
				continue
			}
			list = append(list, File{
				Path:   path.Join("etc/systemd/system", by+".wants", w[1]),
				Target: "/usr/lib/systemd/system/" + w[1],
			})
		}
	}
	return list
}

// initramfsFiles gives what an initramfs is made with, by the tools that the tree has.
func initramfsFiles(has func(string) bool) (list []File, err error) {
	put := func(from, to string, mode uint16) {
		content, readErr := dist.Files.ReadFile(path.Join("initramfs", from))
		err = errors.Join(err, readErr)
		list = append(list, File{Path: to, Mode: mode, Content: content})
	}
	const own = "usr/lib/deltaup/initramfs/"
	for _, name := range []string{
		"deltaup.sh", "initramfs-tools/conf.d/deltaup", "initramfs-tools/scripts/deltaup",
	} {
		put(name, own+name, 0o644)
	}
	if has("etc/initramfs-tools") {
		put("initramfs-tools/hooks/deltaup", "etc/initramfs-tools/hooks/deltaup", 0o755)
	}
	if has("usr/lib/dracut/modules.d") {
		const module = "usr/lib/dracut/modules.d/90deltaup/"
		for _, name := range []string{"module-setup.sh", "mount-deltaup.sh", "parse-deltaup.sh"} {
			put("dracut/90deltaup/"+name, module+name, 0o755)
		}
		put("deltaup.sh", module+"deltaup.sh", 0o644)
	}
	return list, err
}

// Into puts the files into a folder that is the tree of a root file system, in place of those that
// are there. Symbolic links that lead out of the folder are not followed: they are an error.
func Into(dir string, files []File) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for _, f := range files {
		if err := put(root, f); err != nil {
			return fmt.Errorf("/%s: %w", f.Path, err)
		}
	}
	return nil
}

func put(root *os.Root, f File) error {
	at := path.Dir(f.Path)
	if f.Folder {
		at = f.Path
	}
	if err := root.MkdirAll(at, 0o755); err != nil || f.Folder {
		return err
	}
	if err := root.Remove(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if f.Target != "" {
		return root.Symlink(f.Target, f.Path)
	}
	if err := root.WriteFile(f.Path, f.Content, fs.FileMode(f.Mode)); err != nil {
		return err
	}
	return root.Chmod(f.Path, fs.FileMode(f.Mode)) // whatever the umask
}
