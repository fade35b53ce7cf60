// Package sbom writes the software bill of materials of a composed image: the packages of its lock,
// with versions, hashes and package URLs, as [SPDX] 2.3 or [CycloneDX] 1.6. The same lock gives the
// same bytes.
package sbom

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/package-url/packageurl-go"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"deltaup/mkimage/layers"
)

// Subject is what a bill is of.
type Subject struct {
	Name   string // of the image
	Kind   string // of its packages, as package URLs have it: deb or apk
	Vendor string // of its packages, as package URLs have it: debian, ubuntu, alpine
	Time   uint32 // the image's, in seconds since 1970
	Lock   *layers.Lock
}

// purl gives the package URL of a package.
func (s *Subject) purl(p layers.Locked) string {
	qualifiers := packageurl.Qualifiers{{Key: "arch", Value: p.Architecture}}
	return packageurl.NewPackageURL(s.Kind, s.Vendor, p.Name, p.Version, qualifiers, "").ToString()
}

func (s *Subject) time() string { return time.Unix(int64(s.Time), 0).UTC().Format(time.RFC3339) }

// sum names the bill: other packages, or another image, give it another one.
func (s *Subject) sum() ([sha256.Size]byte, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n%d\n", s.Name, s.Kind, s.Vendor, s.Time)
	_, err := s.Lock.WriteTo(h)
	return [sha256.Size]byte(h.Sum(nil)), err
}

// SPDX writes the bill in SPDX's JSON.
func SPDX(w io.Writer, s *Subject) error {
	sum, err := s.sum()
	if err != nil {
		return err
	}
	image := &v2_3.Package{
		PackageName: s.Name, PackageSPDXIdentifier: "Image", PackageDownloadLocation: "NOASSERTION",
		PrimaryPackagePurpose: "OPERATING-SYSTEM",
	}
	d := &v2_3.Document{
		SPDXVersion: v2_3.Version, DataLicense: v2_3.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName: s.Name, DocumentNamespace: fmt.Sprintf("urn:deltaup:sbom:%x", sum),
		CreationInfo: &v2_3.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "deltaup"}}, Created: s.time(),
		},
		Packages: []*v2_3.Package{image},
		Relationships: []*v2_3.Relationship{{
			RefA: common.MakeDocElementID("", "DOCUMENT"), RefB: common.MakeDocElementID("", "Image"),
			Relationship: common.TypeRelationshipDescribe,
		}},
	}
	for i, p := range s.Lock.Packages {
		id := common.ElementID(fmt.Sprintf("Package-%d-%s", i+1, spdxID(p.Name)))
		d.Packages = append(d.Packages, &v2_3.Package{
			PackageName: p.Name, PackageSPDXIdentifier: id, PackageVersion: p.Version,
			PackageDownloadLocation: p.URL,
			PackageChecksums:        []common.Checksum{{Algorithm: common.SHA256, Value: p.SHA256}},
			PackageExternalReferences: []*v2_3.PackageExternalReference{{
				Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL,
				Locator: s.purl(p),
			}},
		})
		d.Relationships = append(d.Relationships, &v2_3.Relationship{
			RefA: common.MakeDocElementID("", "Image"), RefB: common.MakeDocElementID("", string(id)),
			Relationship: common.TypeRelationshipContains,
		})
	}
	return spdxjson.Write(d, w, spdxjson.Indent("  "))
}

// spdxID gives a name with the letters that an id of SPDX may have.
func spdxID(name string) string { return strings.NewReplacer("+", "-plus-", "_", "-").Replace(name) }

// CycloneDX writes the bill in CycloneDX's JSON.
func CycloneDX(w io.Writer, s *Subject) error {
	sum, err := s.sum()
	if err != nil {
		return err
	}
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // a UUID of version 8
	components := make([]cyclonedx.Component, 0, len(s.Lock.Packages))
	for _, p := range s.Lock.Packages {
		purl := s.purl(p)
		components = append(components, cyclonedx.Component{
			BOMRef: p.Layer + "/" + purl, Type: cyclonedx.ComponentTypeLibrary, Name: p.Name,
			Version: p.Version, PackageURL: purl,
			Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: p.SHA256}},
			ExternalReferences: &[]cyclonedx.ExternalReference{
				{URL: p.URL, Type: cyclonedx.ERTypeDistribution},
			},
		})
	}
	b := cyclonedx.NewBOM()
	b.SerialNumber = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10],
		sum[10:16])
	b.Metadata = &cyclonedx.Metadata{
		Timestamp: s.time(),
		Component: &cyclonedx.Component{
			BOMRef: "image", Type: cyclonedx.ComponentTypeOS, Name: s.Name,
		},
	}
	b.Components = &components
	encoder := cyclonedx.NewBOMEncoder(w, cyclonedx.BOMFileFormatJSON).SetPretty(true)
	return encoder.EncodeVersion(b, cyclonedx.SpecVersion1_6)
}
