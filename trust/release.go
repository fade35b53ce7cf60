package trust

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"deltaup/mirror"
)

// Limits of what a publisher may say about a release.
const (
	maxArguments = 2048 // bytes of the kernel's arguments
	maxNotes     = 2048
	maxChannels  = 64
)

// maxNumber is the highest serial, and the highest version of signed metadata. A publisher who
// counts by one never gets there, and every reader of JSON reads such numbers exactly.
const maxNumber = 1<<31 - 1

// SignedRelease is what the publisher signs about a release: the custom member of its target, and,
// without Notes and Channels, its entry in the catalog. Format: doc/trust.md.
type SignedRelease struct {
	Version string `json:"version"`
	// Serial is from 1 to 2147483647, in the order in which a mirror's releases were first signed.
	Serial int64         `json:"serial"`
	File   mirror.Object `json:"file"` // the release file, which names all else by hash
	// Compatible names the machines that the release is for; "" is all.
	Compatible string `json:"compatible,omitempty"`
	// Minimum is the oldest version that a machine may go back to once it has installed this
	// release; "" is any.
	Minimum       string `json:"minimum,omitempty"`
	MinimumSerial int64  `json:"minimum_serial,omitempty"` // serial of that version
	// added to the kernel's command line
	KernelArguments string `json:"kernel_arguments,omitempty"`
	Notes           string `json:"notes,omitempty"` // for people
	// the channels whose newest release it is, sorted
	Channels []string `json:"channels,omitempty"`
}

// Info is what a publisher says about a release besides its files.
type Info struct {
	Minimum         string // an earlier signed version or the release's own; "" is any
	KernelArguments string
	Notes           string
}

// Validate reports what cannot be signed on any mirror.
func (i Info) Validate() error {
	if i.Minimum != "" {
		if err := mirror.CheckName("version", i.Minimum); err != nil {
			return err
		}
	}
	switch {
	case len(i.KernelArguments) > maxArguments || !printable(i.KernelArguments):
		return fmt.Errorf("kernel arguments: at most %d printable ASCII characters are possible",
			maxArguments)
	case len(i.Notes) > maxNotes:
		return fmt.Errorf("notes of %d bytes: at most %d are possible", len(i.Notes), maxNotes)
	}
	return nil
}

func (r *SignedRelease) validate() error {
	if err := mirror.CheckName("version", r.Version); err != nil {
		return err
	}
	switch {
	case r.Serial > maxNumber || r.MinimumSerial > maxNumber:
		return fmt.Errorf("serial %d with a minimum of %d: none beyond %d is possible", r.Serial,
			r.MinimumSerial, maxNumber)
	case r.Serial < 1 || r.MinimumSerial < 0 || r.MinimumSerial > r.Serial ||
		(r.Minimum == "") != (r.MinimumSerial == 0):
		return fmt.Errorf("serial %d with a minimum of %d", r.Serial, r.MinimumSerial)
	case r.File.ID.IsZero() || r.File.Size < 1 || r.File.Size > mirror.MaxReleaseSize:
		return fmt.Errorf("a release file of %d bytes", r.File.Size)
	case !mirror.ValidCompatible(r.Compatible):
		return fmt.Errorf("compatible: at most %d printable ASCII characters are possible",
			mirror.MaxCompatible)
	case len(r.Channels) > maxChannels:
		return fmt.Errorf("%d channels", len(r.Channels))
	}
	for _, c := range r.Channels {
		if err := mirror.CheckName("channel", c); err != nil {
			return err
		}
	}
	return Info{r.Minimum, r.KernelArguments, r.Notes}.Validate()
}

func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}

// parseRelease decodes a target's custom member.
func parseRelease(b []byte) (*SignedRelease, error) {
	var r SignedRelease
	if err := decodeStrict(b, &r); err != nil {
		return nil, err
	}
	return &r, r.validate()
}

// catalogFormat is the only version of catalogs that this program knows.
const catalogFormat = 1

// Limits of a catalog.
const (
	maxCatalog  = 16 << 20 // bytes
	maxReleases = 100_000
)

// catalog lists all releases that were ever signed for a mirror, in order of their serials. It is a
// file of its own, so that what a target reads at each poll does not grow with it.
type catalog struct {
	Format   int             `json:"format"` // 1
	Releases []SignedRelease `json:"releases"`
}

func (c *catalog) marshal() ([]byte, error) {
	c.Format = catalogFormat
	if err := c.validate(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(c)
	return append(b, '\n'), err
}

func parseCatalog(b []byte) (*catalog, error) {
	var c catalog
	if len(b) > maxCatalog {
		return nil, fmt.Errorf("catalog: %w: %d bytes", ErrMalformed, len(b))
	}
	err := decodeStrict(b, &c)
	if err == nil {
		err = c.validate()
	}
	if err != nil {
		return nil, fmt.Errorf("catalog: %w: %w", ErrMalformed, err)
	}
	return &c, nil
}

func (c *catalog) validate() error {
	if c.Format != catalogFormat {
		return fmt.Errorf("format %d, this program knows %d", c.Format, catalogFormat)
	}
	if len(c.Releases) > maxReleases {
		return fmt.Errorf("%d releases, at most %d are possible", len(c.Releases), maxReleases)
	}
	seen := map[string]bool{}
	last := int64(0)
	for i := range c.Releases {
		r := &c.Releases[i]
		if err := r.validate(); err != nil {
			return err
		}
		if r.Serial <= last || seen[r.Version] || r.Notes != "" || r.Channels != nil {
			return fmt.Errorf("version %q is out of place", r.Version)
		}
		last, seen[r.Version] = r.Serial, true
	}
	return nil
}

// find returns the entry of a version, or nil when there is none.
func (c *catalog) find(version string) *SignedRelease {
	i := slices.IndexFunc(c.Releases, func(r SignedRelease) bool { return r.Version == version })
	if i < 0 {
		return nil
	}
	return &c.Releases[i]
}

// next is the serial of the next release.
func (c *catalog) next() int64 {
	if len(c.Releases) == 0 {
		return 1
	}
	return c.Releases[len(c.Releases)-1].Serial + 1
}

// decodeStrict decodes one JSON value into v. It refuses unknown members and anything behind the
// value.
func decodeStrict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("more after its end")
	}
	return nil
}
