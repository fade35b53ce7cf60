package mirror

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"deltaup/chunkstore"
)

// releaseFormat is the only version of release files that this program knows.
const releaseFormat = 1

// Artifact kinds. Those of package artifact, of artifacts that are rebuilt from a recipe beside a
// squashfs image, have the names that they have there.
const (
	KindSquashfs = "squashfs" // rebuilt from a recipe
	KindRaw      = "raw"      // put together from its chunks
	kindUKI      = "uki"      // rebuilt beside an image
)

// Artifact names with a meaning; publishers add their own.
const (
	ImageName  = "image" // the only one that may be of kind squashfs
	KernelName = "kernel"
	InitrdName = "initrd"
	SBOMName   = "sbom" // the image's bill of materials; no machine fetches it by itself
)

// Limits of a release file.
const (
	MaxArtifacts  = 256
	MaxCompatible = 256
)

// Artifact is one file of a release.
type Artifact struct {
	Name string `json:"name"` // a [ValidName], unique within the release
	Kind string `json:"kind"`
	// the finished file's hash and size; a squashfs image also lies whole at [ImagePath]
	Object
	// all kinds but KindRaw have one: for package mkimage, or for package artifact
	Recipe *RecipeObject `json:"recipe,omitempty"`
	// Blockmap is a mkimage.Blockmap of the image; only KindSquashfs has one, and not always.
	Blockmap *Object `json:"blockmap,omitempty"`
	// Index is a chunkstore.Index of the chunks, see artifact.OwnChunks, that an artifact of
	// another kind needs beside the image's contents. It has one when there are any.
	Index *Object `json:"index,omitempty"`
	// Patches are patch sets of package artifact that lead to an artifact of another kind, newest
	// first. Those to the image are the release's.
	Patches []Patch `json:"patches,omitempty"`
}

// Release is the file releases/VERSION.json.
type Release struct {
	Format  int    `json:"format"` // 1
	Version string `json:"version"`
	// Previous is the version that the channel pointed to when this one was published.
	Previous   string     `json:"previous,omitempty"`
	Compatible string     `json:"compatible,omitempty"` // the machines it is for; "" is all
	Artifacts  []Artifact `json:"artifacts"`            // at least one, the image first
	// Index is a chunkstore.Index: where all chunks of all artifacts lie.
	Index   Object        `json:"index"`
	Patches []Patch       `json:"patches,omitempty"` // newest first, from different releases
	Sum     chunkstore.ID `json:"sum"`               // of this file with a sum of "-"; Marshal sets it
}

// Artifact returns the artifact of that name, nil when the release has none.
func (r *Release) Artifact(name string) *Artifact {
	for i := range r.Artifacts {
		if r.Artifacts[i].Name == name {
			return &r.Artifacts[i]
		}
	}
	return nil
}

// Before returns the artifact of the release from which a set leads to one of that name in a later
// release, nil when there is none. An initrd may have been in a unified kernel image.
func (r *Release) Before(name string) *Artifact {
	a := r.Artifact(name)
	if a == nil && name == InitrdName {
		if a = r.Artifact(KernelName); a != nil && a.Kind != kindUKI {
			a = nil
		}
	}
	return a
}

// Marshal encodes a release; what it returns is the only encoding that [ParseRelease] takes.
func (r Release) Marshal() ([]byte, error) {
	r.Format = releaseFormat
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("encode release %q: %w", r.Version, err)
	}
	r.Sum = chunkstore.ID{}
	unsealed, err := encodeJSON(r)
	if err != nil {
		return nil, err
	}
	r.Sum = chunkstore.Sum(unsealed)
	return encodeJSON(r)
}

// Object is the release's file: its hash and size.
func (r *Release) Object() (Object, error) {
	b, err := r.Marshal()
	return ObjectOf(b), err
}

// ParseRelease decodes a release file and verifies its sum, names and sizes. Errors wrap
// chunkstore.ErrCorrupt or chunkstore.ErrVersion.
func ParseRelease(b []byte) (*Release, error) {
	var r Release
	if err := decodeJSON(b, "release", MaxReleaseSize, releaseFormat, &r); err != nil {
		return nil, err
	}
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("release %q: %w: %w", r.Version, chunkstore.ErrCorrupt, err)
	}
	if err := sameBytes(r.Marshal, b, "release"); err != nil {
		return nil, err
	}
	return &r, nil
}

func (r *Release) validate() error {
	if err := CheckName("version", r.Version); err != nil {
		return err
	}
	if r.Previous != "" {
		if err := CheckName("version", r.Previous); err != nil {
			return err
		}
	}
	switch {
	case r.Previous == r.Version:
		return fmt.Errorf("%q is its own previous version", r.Previous)
	case !ValidCompatible(r.Compatible):
		return fmt.Errorf("%q is no valid compatible string", r.Compatible)
	case len(r.Artifacts) == 0 || len(r.Artifacts) > MaxArtifacts:
		return fmt.Errorf("%d artifacts, 1 to %d are possible", len(r.Artifacts), MaxArtifacts)
	}
	seen := map[string]bool{}
	for i := range r.Artifacts {
		a := &r.Artifacts[i]
		if err := CheckName("artifact", a.Name); err != nil {
			return err
		}
		if seen[a.Name] {
			return fmt.Errorf("two artifacts named %q", a.Name)
		}
		seen[a.Name] = true
		if err := a.validate(i == 0); err != nil {
			return fmt.Errorf("artifact %q: %w", a.Name, err)
		}
		if a.Beside() != nil && r.Artifacts[0].Kind != KindSquashfs {
			return fmt.Errorf("artifact %q: is of kind %s beside no image of kind %s", a.Name,
				a.Kind, KindSquashfs)
		}
	}
	if err := r.Index.validate(MaxIndexSize); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	return r.validatePatches()
}

func (a *Artifact) validate(first bool) error {
	if err := a.Object.validate(maxObjectSize); err != nil {
		return err
	}
	switch a.Kind {
	case KindRaw:
		if a.Recipe != nil || a.Blockmap != nil || a.Index != nil || a.Patches != nil {
			return fmt.Errorf("is raw and has a recipe, a block map, an index or patch sets")
		}
		return nil
	case KindSquashfs:
		if a.Name != ImageName || !first {
			return fmt.Errorf("only the first artifact, %q, can be of kind %s", ImageName,
				KindSquashfs)
		}
		return a.validateImage()
	}
	switch k := a.Beside(); {
	case k == nil:
		return fmt.Errorf("unknown kind %q", a.Kind)
	case a.Name != k.Artifact():
		return fmt.Errorf("only %q can be of kind %s", k.Artifact(), a.Kind)
	}
	return a.validateBeside()
}

// validateImage looks at what only a squashfs image has.
func (a *Artifact) validateImage() error {
	if a.Recipe == nil || a.Index != nil || a.Patches != nil {
		return fmt.Errorf("has no recipe, or an index or patch sets of its own")
	}
	if err := a.Recipe.validate(); err != nil {
		return err
	}
	if a.Blockmap != nil {
		if err := a.Blockmap.validate(MaxBlockmapSize); err != nil {
			return fmt.Errorf("block map: %w", err)
		}
	}
	return nil
}

func (o *RecipeObject) validate() error {
	if err := o.Object.validate(MaxRecipeSize); err != nil {
		return fmt.Errorf("recipe: %w", err)
	}
	if o.Plain <= 0 || o.Plain > MaxPlainRecipeSize {
		return fmt.Errorf("recipe: plain size %d is not within 1 to %d", o.Plain,
			int64(MaxPlainRecipeSize))
	}
	if o.Text.IsZero() {
		return fmt.Errorf("recipe: no hash of its text")
	}
	return nil
}

func (o Object) validate(limit int64) error {
	if o.ID.IsZero() {
		return fmt.Errorf("no hash")
	}
	if o.Size < 0 || o.Size > limit {
		return fmt.Errorf("size %d is not within 0 to %d", o.Size, limit)
	}
	return nil
}

// ValidCompatible holds the string to printable ASCII, so that it can be compared and shown as it
// is.
func ValidCompatible(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return len(s) <= MaxCompatible
}

// encodeJSON is the one encoding of releases and pointers: two spaces of indent, a newline at the
// end.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// decodeJSON decodes b into v after a look at its format number alone, which tells a later format,
// that may have any fields, from a damaged file.
func decodeJSON(b []byte, what string, limit, format int, v any) error {
	if len(b) > limit {
		return fmt.Errorf("%s: %w: longer than %d bytes", what, chunkstore.ErrCorrupt, limit)
	}
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return fmt.Errorf("%s: %w: %w", what, chunkstore.ErrCorrupt, err)
	}
	if head.Format != format {
		return fmt.Errorf("%s: %w: format %d, this program knows %d", what, chunkstore.ErrVersion,
			head.Format, format)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%s: %w: %w", what, chunkstore.ErrCorrupt, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("%s: %w: more after its end", what, chunkstore.ErrCorrupt)
	}
	return nil
}

// HasFormat tells whether b says of which format it is and has a sum, as releases and pointers of
// all formats do.
func HasFormat(b []byte) bool {
	var head struct {
		Format int    `json:"format"`
		Sum    string `json:"sum"`
	}
	return json.Unmarshal(b, &head) == nil && head.Format > 0 && head.Sum != ""
}

// sameBytes refuses what has another encoding than ours, a wrong sum included.
func sameBytes(marshal func() ([]byte, error), b []byte, what string) error {
	again, err := marshal()
	if err != nil {
		return fmt.Errorf("%s: %w: %w", what, chunkstore.ErrCorrupt, err)
	}
	if !bytes.Equal(again, b) {
		return fmt.Errorf("%s: %w: its sum or its form is wrong", what, chunkstore.ErrCorrupt)
	}
	return nil
}
