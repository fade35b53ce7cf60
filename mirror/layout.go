package mirror

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"deltaup/chunkstore"
)

// The folders of a mirror. All names are relative to its root and use slashes.
const (
	ChannelsDir  = "channels"
	ReleasesDir  = "releases"
	recipesDir   = "recipes"
	indexesDir   = "indexes"
	imagesDir    = "images"
	PacksDir     = "packs"
	patchesDir   = "patches"
	blockmapsDir = "blockmaps"
	MetadataDir  = "metadata" // what package trust signs
	CatalogsDir  = "catalogs" // lists of releases that it refers to
	TmpDir       = "tmp"      // files that are being written; leftovers are of no use to anybody
	LockName     = ".lock"    // held by the publisher at work
)

// Dirs are all folders of a mirror that readers ask for files from.
func Dirs() []string {
	return []string{
		MetadataDir, ChannelsDir, ReleasesDir, recipesDir, indexesDir, imagesDir, PacksDir, patchesDir,
		blockmapsDir, CatalogsDir,
	}
}

// Immutable tells whether a file never changes under its name, because a hash or a version is in
// it.
func Immutable(name string) bool {
	kind, _, _ := strings.Cut(name, "/")
	return slices.Contains(Dirs(), kind) && kind != ChannelsDir && name != TimestampPath
}

// Sizes, in bytes, that no file of its kind may exceed; a reader allocates up to them.
const (
	MaxPointerSize     = 64 << 10
	MaxReleaseSize     = 1 << 20
	MaxRecipeSize      = 64 << 20  // as stored
	MaxPlainRecipeSize = 512 << 20 // decompressed
	MaxIndexSize       = 256 << 20
	MaxBlockmapSize    = 64 << 20
	// of a whole set; what a reader holds in memory is bounded by package patchset
	maxPatchSize  = 1 << 40
	maxObjectSize = 1 << 50 // images and raw artifacts, which are never held in memory
)

// maxName is the longest version, channel or artifact name.
const maxName = 128

// PackPath is where the pack with this id lies.
func PackPath(id chunkstore.ID) string { return hashPath(PacksDir, id, ".pack") }

// RecipePath is where the stored (compressed) recipe with this id lies.
func RecipePath(id chunkstore.ID) string { return hashPath(recipesDir, id, ".recipe.zst") }

// IndexPath is where the index with this id lies.
func IndexPath(id chunkstore.ID) string { return hashPath(indexesDir, id, ".index") }

// ImagePath is where the finished image with this id lies.
func ImagePath(id chunkstore.ID) string { return hashPath(imagesDir, id, ".squashfs") }

// PatchPath is where the patch set with this id lies.
func PatchPath(id chunkstore.ID) string { return hashPath(patchesDir, id, ".patch") }

// BlockmapPath is where the block map with this id lies.
func BlockmapPath(id chunkstore.ID) string { return hashPath(blockmapsDir, id, ".blockmap") }

// ReleasePath is where the release file of a version lies. The version must be a [ValidName].
func ReleasePath(version string) string { return ReleasesDir + "/" + version + ".json" }

// TimestampPath is where the signed metadata that a reader asks for first lies. It is the only
// signed file that changes, and the pointer of a signed mirror: what it does not lead to does not
// count.
const TimestampPath = MetadataDir + "/timestamp.json"

// MetadataPath is where a version of a role's signed metadata lies.
func MetadataPath(role string, version int64) string {
	return fmt.Sprintf("%s/%d.%s.json", MetadataDir, version, role)
}

// CatalogPath is where the catalog with this id lies.
func CatalogPath(id chunkstore.ID) string { return hashPath(CatalogsDir, id, ".json") }

// PointerPath is where the pointer of a channel lies. The channel must be a [ValidName].
func PointerPath(channel string) string { return ChannelsDir + "/" + channel + ".json" }

// hashPath spreads a kind's files over 256 folders by the first byte of their hash.
func hashPath(kind string, id chunkstore.ID, suffix string) string {
	hex := id.String()
	return kind + "/" + hex[:2] + "/" + hex + suffix
}

// ErrName is wrapped when a mirror, or who publishes to it, has a name that [ValidName] refuses: as
// part of a path it could lead out of the mirror.
var ErrName = errors.New("not an allowed name")

// CheckName reports a name that is none, of what.
func CheckName(what, name string) error {
	if !ValidName(name) {
		return fmt.Errorf("%s %.140q: %w", what, name, ErrName)
	}
	return nil
}

// ValidName tells whether s may name a version, a channel or an artifact:
// [A-Za-z0-9][A-Za-z0-9._+~-]{0,127}. Such a name is one component of a path and no hidden file.
func ValidName(s string) bool {
	if len(s) == 0 || len(s) > maxName {
		return false
	}
	for i, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '+' || c == '~' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// HashName takes a hash-named file's kind and hash from its name; false for all other files.
func HashName(name string) (kind string, id chunkstore.ID, ok bool) {
	for kind, path := range map[string]func(chunkstore.ID) string{
		PacksDir: PackPath, indexesDir: IndexPath, imagesDir: ImagePath, recipesDir: RecipePath,
		patchesDir: PatchPath, blockmapsDir: BlockmapPath, CatalogsDir: CatalogPath,
	} {
		if !strings.HasPrefix(name, kind+"/") {
			continue
		}
		hash, _, _ := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ".")
		id, err := chunkstore.ParseID(hash)
		return kind, id, err == nil && path(id) == name
	}
	return "", chunkstore.ID{}, false
}
