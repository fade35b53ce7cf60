package trust_test

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"deltaup/mirror/serve"
	"deltaup/trust"
)

// TestUpdater reads a mirror with go-tuf's own client, to show that the metadata is plain TUF.
func TestUpdater(t *testing.T) {
	s := newSite(t, map[string]trust.Quorum{"root": {Threshold: 2, Keys: 3}})
	s.publish("1", "stable", trust.Info{})
	first := s.root()
	s.rotate(trust.Change{Role: "targets"})
	s.publish("2", "stable", trust.Info{Minimum: "1"})

	server := httptest.NewServer(serve.Handler(s.dir))
	defer server.Close()
	c, err := config.New(server.URL+"/metadata", first)
	s.must(err)
	c.LocalMetadataDir, c.LocalTargetsDir = t.TempDir(), t.TempDir()
	c.RemoteTargetsURL, c.PrefixTargetsWithHash = server.URL, false
	u, err := updater.New(c)
	s.must(err)
	s.must(u.Refresh())
	target, err := u.GetTargetInfo("releases/2.json")
	s.must(err)
	_, got, err := u.DownloadTarget(target, "", "")
	s.must(err)
	want, err := os.ReadFile(filepath.Join(s.dir, "releases/2.json"))
	s.must(err)
	if !bytes.Equal(got, want) {
		t.Error("it read another release file")
	}
}
