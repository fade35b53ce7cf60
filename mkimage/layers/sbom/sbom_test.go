package sbom_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"

	"deltaup/mkimage/layers"
	"deltaup/mkimage/layers/sbom"
)

func subject(t *testing.T) *sbom.Subject {
	t.Helper()
	sum := strings.Repeat("0f", 32)
	lock, err := layers.ReadLock(strings.NewReader("deltaup-lock 1\n" +
		"debian g++ 4:12.2.0-3 amd64 5 " + sum + " http://x/g.deb\ndebian tzdata 2024a-0+deb12u1 all 6 " + sum + " http://x/t.deb\n"))
	if err != nil {
		t.Fatal(err)
	}
	return &sbom.Subject{Name: "appliance", Kind: "deb", Vendor: "debian", Time: 1_700_000_000, Lock: lock}
}

func bytesOf(t *testing.T, write func(io.Writer, *sbom.Subject) error, s *sbom.Subject) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSPDX reads a bill with the library's reader and its check.
func TestSPDX(t *testing.T) {
	s := subject(t)
	b := bytesOf(t, sbom.SPDX, s)
	if !bytes.Equal(b, bytesOf(t, sbom.SPDX, s)) {
		t.Error("not the same twice")
	}
	d, err := spdxjson.Read(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(d); err != nil {
		t.Error(err)
	}
	if len(d.Packages) != 3 || len(d.Relationships) != 3 {
		t.Fatalf("%d packages, %d relationships", len(d.Packages), len(d.Relationships))
	}
	p := d.Packages[1]
	if p.PackageName != "g++" || p.PackageVersion != "4:12.2.0-3" || p.PackageExternalReferences[0].Locator != "pkg:deb/debian/g%2B%2B@4:12.2.0-3?arch=amd64" {
		t.Errorf("package %+v, %+v", p, p.PackageExternalReferences[0])
	}
}

func TestCycloneDX(t *testing.T) {
	s := subject(t)
	b := bytesOf(t, sbom.CycloneDX, s)
	if !bytes.Equal(b, bytesOf(t, sbom.CycloneDX, s)) {
		t.Error("not the same twice")
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(b), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if len(*bom.Components) != 2 || bom.Metadata.Timestamp != "2023-11-14T22:13:20Z" {
		t.Fatalf("components %+v", bom.Components)
	}
	if c := (*bom.Components)[1]; c.PackageURL != "pkg:deb/debian/tzdata@2024a-0%2Bdeb12u1?arch=all" || c.Version != "2024a-0+deb12u1" {
		t.Errorf("component %+v", c)
	}
	alpine := subject(t)
	alpine.Kind, alpine.Vendor = "apk", "alpine"
	for _, text := range [][]byte{bytesOf(t, sbom.CycloneDX, alpine), bytesOf(t, sbom.SPDX, alpine)} {
		if !bytes.Contains(text, []byte(`"pkg:apk/alpine/tzdata@2024a-0%2Bdeb12u1?arch=all"`)) || bytes.Contains(text, []byte(bom.SerialNumber)) {
			t.Errorf("packages of Alpine: %s", text)
		}
	}
	other := subject(t)
	other.Time++
	if bytes.Contains(bytesOf(t, sbom.CycloneDX, other), []byte(bom.SerialNumber)) {
		t.Error("another bill has the same number")
	}
}

// TestCheck takes both bills, and no other file.
func TestCheck(t *testing.T) {
	s := subject(t)
	for name, c := range map[string]struct {
		text []byte
		want error
	}{
		"spdx":      {bytesOf(t, sbom.SPDX, s), nil},
		"cyclonedx": {bytesOf(t, sbom.CycloneDX, s), nil},
		"other":     {[]byte(`{"bomFormat": "x"}`), sbom.ErrUnknown},
		"a list":    {[]byte(`[]`), sbom.ErrUnknown},
		"image":     {[]byte("hsqs"), sbom.ErrUnknown},
		"empty":     {nil, sbom.ErrUnknown},
	} {
		path := filepath.Join(t.TempDir(), "bill")
		if err := os.WriteFile(path, c.text, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := sbom.Check(path); !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := sbom.Check(t.TempDir() + "/none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
