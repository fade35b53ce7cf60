package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors lists the packages from the ground up: a package may import those above it in this list
// and no other of ours. internal/* serves all and imports nothing of ours but internal/*.
// internal/test/*, which only tests import, imports what it tests with.
var floors = []struct {
	pkg     string
	imports []string
}{
	{"chunkstore", nil},
	{"internal/folder", nil},
	{"internal/human", nil},
	{"internal/undo", nil},
	{"slotboot", nil},
	{"slotboot/counted", nil},
	{"slotboot/scripts", nil},
	{"dist", nil}, // units and initramfs scripts
	// beside slotboot, which is told what it needs: other boot loaders and tools can do without a
	// file
	{"slotboot/config", nil},
	{"slotboot/machine", []string{"slotboot/config"}},
	{"slotboot/loader", []string{"slotboot/counted"}},
	// one boot loader, which only cmd/deltaup knows by name
	{"slotboot/grubenv", nil},
	{"slotboot/grub", []string{"slotboot/config", "slotboot/counted", "slotboot/grubenv", "slotboot/loader", "slotboot/machine"}},
	{"mkimage/tree", nil},
	{"mkimage/squashfs", []string{"mkimage/tree"}},
	{"mkimage/rootfs", []string{"mkimage/squashfs", "mkimage/tree"}},
	{"mkimage/modulename", nil},
	{"mkimage/internal/lookup", []string{"mkimage/tree"}},
	{"mkimage/modules", []string{"mkimage/internal/lookup", "mkimage/modulename", "mkimage/tree"}},
	// files that programs make in a tree, made without them
	{"mkimage/layers/internal/glib", nil},
	{"mkimage/layers/internal/systemd", []string{"mkimage/internal/lookup", "mkimage/tree"}},
	{"mkimage/layers/catalog", []string{"mkimage/internal/lookup", "mkimage/layers/internal/systemd", "mkimage/tree"}},
	{"mkimage/layers/fontcache", []string{"mkimage/internal/lookup", "mkimage/tree"}},
	{"mkimage/layers/gschemas", []string{"mkimage/internal/lookup", "mkimage/layers/internal/glib", "mkimage/tree"}},
	{"mkimage/layers/hwdb", []string{"mkimage/internal/lookup", "mkimage/layers/internal/systemd", "mkimage/tree"}},
	{"mkimage/layers/iconcache", []string{"mkimage/internal/lookup", "mkimage/layers/internal/glib", "mkimage/tree"}},
	{"mkimage/layers/ldcache", []string{"mkimage/internal/lookup", "mkimage/tree"}},
	{"mkimage/layers/mime", []string{"mkimage/internal/lookup", "mkimage/layers/internal/glib", "mkimage/tree"}},
	{"mkimage/layers/mimeinfo", []string{"mkimage/internal/lookup", "mkimage/layers/internal/glib", "mkimage/tree"}},
	{"mkimage/adopt", []string{"dist", "slotboot/config"}},
	{"mkimage/layers/deb", []string{"mkimage/rootfs", "mkimage/tree"}},
	{"mkimage/layers/script", nil},
	{"mkimage/layers/busybox", nil},
	{"mkimage/layers/oci", []string{"mkimage/rootfs", "mkimage/tree"}},
	{"mkimage/layers/apk", []string{"mkimage/rootfs", "mkimage/tree"}},
	{"mkimage/layers", []string{"mkimage/adopt", "mkimage/layers/apk", "mkimage/layers/busybox", "mkimage/layers/catalog", "mkimage/layers/deb", "mkimage/layers/fontcache", "mkimage/layers/gschemas", "mkimage/layers/hwdb", "mkimage/layers/iconcache", "mkimage/layers/ldcache", "mkimage/layers/mime", "mkimage/layers/mimeinfo", "mkimage/layers/oci", "mkimage/layers/script", "mkimage/modules", "mkimage/rootfs", "mkimage/tree"}},
	// apart, so that composing can't start a program
	{"mkimage/layers/apt", []string{"mkimage/layers", "mkimage/layers/deb"}},
	{"mkimage/layers/alpine", []string{"mkimage/layers", "mkimage/layers/apk"}},
	{"mkimage/layers/sbom", []string{"mkimage/layers"}},
	{"mkimage/internal/codec", []string{"chunkstore"}},
	{"mkimage/internal/recipetext", []string{"chunkstore"}},
	{"mkimage/internal/proof", []string{"chunkstore"}},
	{"mkimage", []string{"chunkstore", "mkimage/internal/codec", "mkimage/internal/proof", "mkimage/internal/recipetext", "mkimage/squashfs", "mkimage/tree"}},
	{"mkimage/blockmap", []string{"chunkstore", "mkimage/squashfs", "mkimage/tree"}},
	{"mkimage/trace", []string{"mkimage", "mkimage/internal/recipetext", "mkimage/modulename", "mkimage/squashfs", "mkimage/tree"}},
	{"mkimage/internal/spool", []string{"chunkstore"}},
	{"mkimage/internal/unpack", nil},
	{"mkimage/initrd", []string{"chunkstore", "mkimage", "mkimage/internal/codec", "mkimage/internal/proof", "mkimage/internal/recipetext", "mkimage/internal/spool", "mkimage/internal/unpack"}},
	{"mkimage/layers/initramfs", []string{"dist", "mkimage/initrd", "mkimage/internal/lookup", "mkimage/layers", "mkimage/layers/ldcache", "mkimage/modulename", "mkimage/modules", "mkimage/tree"}},
	{"delta/transform/gnuzip", nil},
	{"delta/transform/bcj", nil},
	{"delta/transform/xzutils", []string{"delta/transform/bcj"}},
	{"delta/transform/lz4hc", nil},
	{"delta/transform/parsestep", nil},
	{"delta/transform/zstdparse", []string{"delta/transform/parsestep"}},
	{"delta/transform/lzmaparse", []string{"delta/transform/bcj", "delta/transform/parsestep"}},
	{"mkimage/kernel", []string{"chunkstore", "mkimage", "mkimage/internal/proof", "mkimage/internal/recipetext", "mkimage/internal/spool", "mkimage/internal/unpack", "delta/transform/gnuzip", "delta/transform/lz4hc"}},
	{"mkimage/uki", nil},
	{"delta/transform", []string{"delta/transform/gnuzip", "delta/transform/lz4hc", "delta/transform/lzmaparse", "delta/transform/parsestep", "delta/transform/xzutils", "delta/transform/zstdparse"}},
	{"delta/suffix", nil},
	{"delta/patchcache", []string{"chunkstore"}},
	{"delta/patchset", []string{"chunkstore", "mkimage", "mkimage/tree", "delta/suffix", "delta/transform"}},
	{"artifact", []string{"chunkstore", "mkimage", "mkimage/initrd", "mkimage/kernel", "mkimage/tree", "mkimage/uki", "delta/patchset"}},
	{"delta", []string{"chunkstore"}},
	{"delta/diff", []string{"chunkstore", "mkimage", "mkimage/blockmap", "mkimage/modulename", "mkimage/modules", "mkimage/tree", "delta/patchset", "delta/transform"}},
	{"mirror", []string{"chunkstore", "mkimage", "delta/patchset", "artifact"}},
	{"mirror/internal/inside", nil},
	{"mirror/internal/verify", []string{"chunkstore", "mkimage", "delta/patchset", "artifact", "mirror"}},
	{"mirror/client", []string{"chunkstore", "mkimage", "mirror", "mirror/internal/inside"}},
	{"mirror/serve", []string{"chunkstore", "mirror", "mirror/internal/inside"}},
	{"mirror/folder", []string{"mirror"}},
	{"mirror/publish", []string{"chunkstore", "mkimage", "mkimage/blockmap", "mkimage/modulename", "mkimage/modules", "mkimage/squashfs", "delta/patchset", "artifact", "mirror", "mirror/internal/verify"}},
	{"mirror/check", []string{"chunkstore", "mkimage", "mkimage/blockmap", "mkimage/squashfs", "delta/patchset", "artifact", "mirror", "mirror/internal/verify"}},
	{"trust", []string{"chunkstore", "mirror", "mirror/client"}},
	{"apply/cache", []string{"chunkstore", "delta"}},
	{"apply/madeblocks", []string{"chunkstore"}},
	{"apply/state", []string{"apply/cache", "chunkstore", "mirror", "mkimage", "mkimage/squashfs"}},
	{"apply/internal/nospace", nil},
	{"apply/slotwriter", []string{"apply/internal/nospace", "chunkstore"}},
	{"apply", []string{"apply/cache", "apply/internal/nospace", "apply/madeblocks", "apply/slotwriter", "apply/state", "chunkstore", "mkimage", "mkimage/blockmap", "mkimage/squashfs", "mkimage/tree", "delta", "delta/patchset", "artifact", "mirror", "mirror/client", "trust"}},
	// what outlives an image
	{"settings/list", nil},
	{"settings/merge", nil},
	{"settings/tarball", nil},
	{"settings/textdiff", nil},
	{"settings/overlay", nil},
	{"settings/mounts", nil},
	{"settings", []string{"chunkstore", "mkimage", "mkimage/squashfs", "mkimage/tree", "settings/list", "settings/merge", "settings/overlay", "settings/tarball"}},
	// Above apply and slotboot, which do not know each other.
	{"device", []string{"chunkstore", "mkimage/squashfs", "mkimage/tree", "mirror", "mirror/client", "trust", "apply", "slotboot", "slotboot/config", "slotboot/counted", "slotboot/loader", "slotboot/machine", "slotboot/scripts"}},
	{"cmd/deltaup", []string{"chunkstore", "slotboot", "mkimage", "mkimage/adopt", "mkimage/blockmap", "mkimage/initrd", "mkimage/layers", "mkimage/layers/alpine", "mkimage/layers/apk", "mkimage/layers/apt", "mkimage/layers/busybox", "mkimage/layers/catalog", "mkimage/layers/deb", "mkimage/layers/gschemas", "mkimage/layers/hwdb", "mkimage/layers/initramfs", "mkimage/layers/ldcache", "mkimage/layers/mime", "mkimage/layers/mimeinfo", "mkimage/layers/oci", "mkimage/layers/sbom", "mkimage/layers/script", "mkimage/modules", "mkimage/trace", "mkimage/rootfs", "mkimage/squashfs", "mkimage/tree", "delta", "delta/patchcache", "delta/patchset", "delta/diff", "mirror", "mirror/check", "mirror/client", "mirror/folder", "mirror/publish", "mirror/serve", "trust", "apply", "apply/state", "device", "settings", "settings/list", "settings/merge", "settings/mounts", "settings/tarball", "settings/textdiff", "slotboot/config", "slotboot/counted", "slotboot/grub", "slotboot/loader", "slotboot/machine", "slotboot/scripts"}},
}

// TestWalls holds every package to the imports it is permitted, tests left out.
func TestWalls(t *testing.T) {
	permitted := map[string][]string{}
	for _, f := range floors {
		permitted[f.pkg] = f.imports
	}
	imports := ourImports(t)
	for pkg, found := range imports {
		allowed, known := permitted[pkg]
		if !known && !strings.HasPrefix(pkg, "internal/") {
			t.Errorf("package %s has no floor: add it to the list", pkg)
		}
		for _, i := range found {
			if strings.HasPrefix(i, "internal/") && !testOnly(i) && known {
				continue
			}
			if !slices.Contains(allowed, i) {
				t.Errorf("%s imports %s: not permitted", pkg, i)
			}
		}
	}
	if len(imports) < len(floors) {
		t.Errorf("saw %d packages, the list has %d", len(imports), len(floors))
	}
}

// apart lists packages that must not reach others, by whatever way.
var apart = map[string][]string{
	// it knows no boot loader by name, and like all that carries out updates it does not publish
	"device": {"slotboot/grub", "slotboot/grubenv", "mirror/publish", "mirror/check", "mirror/serve"},
	"apply":  {"mirror/publish", "mirror/check", "mirror/serve"},
	"trust":  {"mirror/folder", "mirror/publish", "mirror/check", "mirror/serve"},
	// these know no place of a mirror: mirror.Store is all that they see
	"mirror/publish": {"mirror/folder"},
	"mirror/check":   {"mirror/folder"},
	"mirror/client":  {"mirror/publish", "mirror/check", "mirror/serve"},
}

// TestApart follows the imports of each package in apart.
func TestApart(t *testing.T) {
	imports := ourImports(t)
	for pkg, others := range apart {
		reached := map[string]bool{}
		var follow func(pkg string)
		follow = func(pkg string) {
			for _, i := range imports[pkg] {
				if !reached[i] {
					reached[i] = true
					follow(i)
				}
			}
		}
		follow(pkg)
		if len(reached) == 0 {
			t.Errorf("%s imports nothing: is it still there?", pkg)
		}
		for _, other := range others {
			if imports[other] == nil {
				t.Errorf("there is no package %s", other)
			}
			if reached[other] {
				t.Errorf("%s reaches %s", pkg, other)
			}
		}
	}
}

// ourImports gives what each of our packages imports of ours. Tests, and packages for them alone,
// are left out.
func ourImports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "deltaup/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	imports := map[string][]string{}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for dec.More() {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		pkg := strings.TrimPrefix(p.ImportPath, "deltaup/")
		if testOnly(pkg) {
			continue
		}
		imports[pkg] = []string{}
		for _, i := range p.Imports {
			if ours, ok := strings.CutPrefix(i, "deltaup/"); ok {
				imports[pkg] = append(imports[pkg], ours)
			}
		}
	}
	return imports
}

// testOnly tells the packages that only tests import, by their path; nothing else may.
func testOnly(pkg string) bool { return strings.HasPrefix(pkg, "internal/test/") }
