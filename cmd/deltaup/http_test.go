package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/mirror/serve"
)

// TestHTTPSettings updates a machine from a server that wants a token, by configuration and by
// flag.
func TestHTTPSettings(t *testing.T) {
	m := newVictim(t)
	files := serve.Handler(m.mirror)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "", http.StatusForbidden)
			return
		}
		files.ServeHTTP(w, r)
	}))
	defer srv.Close()
	token := filepath.Join(m.root, "token")
	must(t, os.WriteFile(token, []byte("secret\n"), 0o600))
	file := filepath.Join(m.root, "etc/deltaup/deltaup.toml")
	configured, err := os.ReadFile(file)
	must(t, err)
	host := strings.TrimPrefix(srv.URL, "http://")
	pull := func(config string, args ...string) (int, string) {
		must(t, os.WriteFile(file, []byte(config+string(configured)), 0o644))
		code, _, stderr := deltaup(t, append(args, "--sysroot", m.root, "--dry-run")...)
		return code, stderr
	}
	table := "http.host.\"" + host + "\".bearer_file = \"/token\"\n"
	for _, tt := range []struct {
		what, config string
		args         []string
		code         int
		says         string
	}{
		{"no token", "", []string{"install", srv.URL}, exitUnreachable, "the server refuses: " + srv.URL},
		{"of the host", table, []string{"install", srv.URL}, exitOK, ""},
		{"of another host", strings.Replace(table, host, "mirror.example", 1), []string{"install", srv.URL}, exitUnreachable, "the server refuses"},
		{"of the mirrors, and it is none", "http.bearer_file = \"/token\"\n", []string{"install", srv.URL}, exitUnreachable, "the server refuses"},
		{"by flag", "", []string{"install", srv.URL, "--bearer-file", token}, exitOK, ""},
		{"by flag for two servers", "", []string{"install", srv.URL, "https://other.example", "--bearer-file", token}, exitUsage, host + " and other.example"},
		{"no such file", "", []string{"install", srv.URL, "--header-file", "/etc/nosuch"}, exitUsage, "header_file /etc/nosuch: no such file"},
		{"a flag with the token itself", "", []string{"install", srv.URL, "--header-file", "/secret"}, exitUsage, "header_file: wanted is the path of a file"},
	} {
		code, stderr := pull(tt.config, tt.args...)
		if code != tt.code || !strings.Contains(stderr, tt.says) || strings.Contains(stderr, "secret") {
			t.Errorf("%s: exit code %d, want %d: %s", tt.what, code, tt.code, stderr)
		}
	}
}
