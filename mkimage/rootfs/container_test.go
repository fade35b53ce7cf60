package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

func TestContainer(t *testing.T) {
	hash := strings.Repeat("0a", 32)
	device := file{Name: "gone", Header: tar.Header{Typeflag: tar.TypeChar}}
	opaque := file{Name: "d", Header: tar.Header{Typeflag: tar.TypeDir, Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.trusted.overlay.opaque": "y"}}}
	for name, c := range map[string]struct {
		files []file
		want  string // part of the error; "": no error
	}{
		"layout":               {[]file{plain("oci-layout", "{}"), plain("index.json", "{}"), plain("blobs/sha256/"+hash, "")}, "OCI layout"},
		"saved":                {[]file{plain("manifest.json", "[]"), plain("repositories", "{}"), plain(hash+"/layer.tar", "")}, "docker save"},
		"saved as a layout":    {[]file{plain("oci-layout", "{}"), plain("index.json", "{}"), plain("manifest.json", "[]"), plain("repositories", ""), plain("blobs/x", "")}, "docker save"},
		"saved by others":      {[]file{plain("manifest.json", "[]"), plain(hash+".json", "{}"), plain(hash+".tar", "")}, "blobs"},
		"folder of blobs":      {[]file{plain("manifest.json", "{}"), plain("version", "1"), plain(hash, "")}, "blobs"},
		"whiteout":             {[]file{plain("etc/.wh.shadow", ""), plain("etc/.wh..wh..opq", "")}, `2 marks of what it removes from the layers below, first "/etc/.wh..wh..opq"`},
		"overlay device":       {[]file{device}, `first "/gone"`},
		"overlay attribute":    {[]file{opaque}, `first "/d"`},
		"names further down":   {[]file{plain("srv/oci-layout", ""), plain("srv/index.json", ""), plain("srv/manifest.json", ""), plain("srv/repositories", "")}, ""},
		"a manifest of others": {[]file{plain("manifest.json", "{}"), plain("index.json", "{}"), plain("usr/x", "")}, ""},
	} {
		archive := makeTar(t, c.files...)
		_, err := FromTar(context.Background(), bytes.NewReader(archive), Options{})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.Is(err, ErrContainer) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got error %v", name, err)
		}
		if got := len(readTar(t, archive, Options{ContainerFiles: true}).Entries()); got <= len(c.files) {
			t.Errorf("%s: as files: got %d entries", name, got)
		}
	}
	left := Options{Filter: Filter{Exclude: []string{"**/.wh.*"}}}
	if got := summary(t, readTar(t, makeTar(t, plain("a/.wh.b", ""), plain("c", "1")), left)); got != "a:d c:1" {
		t.Errorf("whiteouts left out: got %s", got)
	}
}
