package oci

import (
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// debian has the platforms that Debian calls otherwise.
var debian = map[string]string{
	"armel": "arm/v5", "armhf": "arm/v7", "i386": "386", "mips64el": "mips64le",
	"ppc64el": "ppc64le",
}

// parsePlatform reads an architecture as Options has it; nil: any.
func parsePlatform(s string) (*v1.Platform, error) {
	if s == "" {
		return nil, nil
	}
	words := strings.Split(strings.TrimPrefix(s, "linux/"), "/")
	if known, ok := debian[words[0]]; ok && len(words) == 1 {
		words = strings.Split(known, "/")
	}
	p := &v1.Platform{OS: "linux", Architecture: words[0]}
	if len(words) == 2 {
		p.Variant = words[1]
	}
	if len(words) > 2 || strings.ContainsAny(s, " :\n") || p.Architecture == "" {
		return nil, fmt.Errorf("%w: architecture %q: want one such as amd64 or arm/v7", ErrPlatform, s)
	}
	return p, nil
}

// variant gives the variant of a platform. Some are understood when none is said.
func variant(p *v1.Platform) string {
	switch p.Architecture + "/" + p.Variant {
	case "arm/":
		return "v7"
	case "arm64/v8", "amd64/v1":
		return ""
	}
	return p.Variant
}

// fits tells whether an index's entry for platform have is for want, nil: any system.
func fits(have, want *v1.Platform) bool {
	if have.OS != "linux" {
		return false // also "unknown", which entries have that are no images
	}
	return want == nil || have.Architecture == want.Architecture && variant(have) == variant(want)
}

func show(p *v1.Platform) string {
	if p == nil {
		return "no platform"
	}
	return p.String()
}

// choose gives the entry of an index for a platform: the first that fits, or the only one that says
// none. With any platform there must be one entry alone.
func choose(list []v1.Descriptor, want *v1.Platform) (v1.Descriptor, error) {
	var fitting, silent []v1.Descriptor
	var there []string
	for _, d := range list {
		if d.MediaType != "" && !d.MediaType.IsImage() && !d.MediaType.IsIndex() {
			continue
		}
		switch {
		case d.Platform == nil || d.Platform.OS == "" && d.Platform.Architecture == "":
			silent = append(silent, d)
		case fits(d.Platform, want):
			fitting = append(fitting, d)
		}
		if len(there) < 20 {
			there = append(there, show(d.Platform))
		}
	}
	if len(fitting) == 0 {
		fitting = silent
	} else if want != nil {
		return fitting[0], nil
	}
	for i := range fitting {
		if fitting[i].Digest != fitting[0].Digest {
			return v1.Descriptor{}, fmt.Errorf("%w: several images, for %s: want a name or an"+
				" architecture", ErrPlatform, strings.Join(there, ", "))
		}
	}
	if len(fitting) == 0 {
		return v1.Descriptor{}, fmt.Errorf("%w: images for %s, none for %s", ErrPlatform,
			strings.Join(there, ", "), show(want))
	}
	return fitting[0], nil
}

// check refuses the configuration of an image for another platform.
func check(c *v1.ConfigFile, want *v1.Platform) error {
	have := c.Platform()
	if have == nil {
		have = &v1.Platform{OS: c.OS, Architecture: c.Architecture}
	}
	if have.OS != "" && have.OS != "linux" || want != nil && (have.Architecture != want.Architecture ||
		have.Variant != "" && variant(have) != variant(want)) {
		return fmt.Errorf("%w: the image is for %s, not for %s", ErrPlatform, show(have), show(want))
	}
	return nil
}
