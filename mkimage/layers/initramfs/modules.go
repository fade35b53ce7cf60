package initramfs

import (
	"slices"
	"strings"

	"deltaup/mkimage/modulename"
	"deltaup/mkimage/modules"
	"deltaup/mkimage/tree"
)

// kernelVersion gives the version of the kernel that the settings name, or that of the only one in
// the tree; "": the tree has no modules, as its kernel has all built in.
func kernelVersion(t tree.Tree, want string) (string, error) {
	versions := modules.Versions(t)
	switch {
	case want != "" && !slices.Contains(versions, want):
		return "", wrong("kernel: the tree has no modules of %s, but of %q", want, versions)
	case want != "":
		return want, nil
	case len(versions) > 1:
		return "", wrong("kernel is missing: the tree has modules of %q", versions)
	case len(versions) == 1:
		return versions[0], nil
	}
	return "", nil
}

// takeModules takes those of driverModules that the tree has, and those of the settings.
func (in *selection) takeModules(t tree.Tree, version string, names []string) error {
	if version == "" {
		if len(names) > 0 {
			return wrong("modules: the tree has none")
		}
		return nil
	}
	if in.root.Stat("lib/modules/"+version+"/modules.dep") == nil {
		return wrong("/lib/modules/%s has no modules.dep: the rule depmod makes it", version)
	}
	paths, unknown, err := modules.Needed(t, version, slices.Concat(driverModules, names))
	if err != nil {
		return err
	}
	for _, name := range unknown {
		if slices.Contains(names, name) {
			return wrong("modules: the kernel %s has no module %s", version, name)
		}
	}
	for _, file := range indexInputs {
		if in.root.Stat("lib/modules/"+version+"/"+file) != nil {
			paths = append(paths, "lib/modules/"+version+"/"+file)
		}
	}
	for _, p := range append(paths, "lib/modules/"+version) {
		if _, err := in.take(p); err != nil {
			return wrong("modules: %w", err)
		}
	}
	return nil
}

// isModule tells whether a file is a kernel module, plain or packed.
func isModule(name string) bool {
	_, packed := modulename.Target(name)
	return packed || strings.HasSuffix(name, ".ko")
}
