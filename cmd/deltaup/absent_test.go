package main

import (
	"net/http"
	"strings"
	"testing"

	"deltaup/internal/test/faultserver"
)

// TestAbsentSpellings has a server that lacks a kind of file, and says so in one of the ways that
// servers have. The update ends as it does under 404.
func TestAbsentSpellings(t *testing.T) {
	for _, tt := range []struct {
		path string
		code int
		args []string
	}{
		{"metadata/2.root.json", exitOK, nil},
		{"metadata/timestamp.json", exitUnsigned, nil},
		{"metadata/4.stable.bundle", exitOK, nil},
		{"metadata/4.snapshot.json", exitMissing, nil},
		{"metadata/4.targets.json", exitMissing, nil},
		{"releases/", exitMissing, nil},
		{"recipes/", exitMissing, []string{"--route", "chunks"}},
		{"indexes/", exitMissing, []string{"--route", "chunks"}},
		{"patches/", exitOK, []string{"--optimize", "bytes"}},
		{"blockmaps/", exitOK, nil},
		{"packs/", exitMissing, []string{"--route", "chunks"}},
		{"images/", exitMissing, []string{"--route", "whole"}},
	} {
		said := ""
		statuses := []int{404, 410, 403, 400}
		if testing.Short() {
			statuses = []int{404, 403}
		}
		for _, status := range statuses {
			m := newVictim(t)
			m.server.Add(faultserver.Rule{Path: tt.path, Fault: faultserver.Status(status, 0)})
			code, stderr := m.install(tt.args...)
			line := plain(stderr)
			if code == exitOK {
				line = ""
			}
			line = strings.ReplaceAll(line, "N "+http.StatusText(status), "STATUS")
			if said == "" {
				said = line
				t.Logf("%s: %d %s", tt.path, code, line)
			}
			if code != tt.code || line != said {
				t.Errorf("%d for %s: exit code %d, want %d; it printed\n%s\nwant\n%s", status, tt.path, code, tt.code, plain(stderr), said)
			}
		}
	}
}

// TestRefused has a server that says no to everything, as to a wrong token.
func TestRefused(t *testing.T) {
	for status, first := range map[int]string{400: "timestamp", 401: "2.root", 403: "timestamp"} {
		m := newVictim(t)
		m.server.Add(faultserver.Rule{Fault: faultserver.Status(status, 0)})
		m.refuses(exitUnreachable, "metadata/"+first+".json: the server refuses: MIRROR: N "+http.StatusText(status)+
			" (are the address, and the password, token or certificate for it, right?)")
	}
}

// TestAnotherMirror: a mirror that is at a wrong address, refuses, or is a login page does not keep
// a machine from the next one.
func TestAnotherMirror(t *testing.T) {
	login := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!DOCTYPE html><p>please log in</p>"))
	}
	for what, fault := range map[string]faultserver.Fault{
		"wrong address": faultserver.Status(404, 0), "403": faultserver.Status(403, 0), "401": faultserver.Status(401, 0), "login": login,
	} {
		m := newVictim(t)
		bad := faultserver.New(t, http.NotFoundHandler())
		bad.Add(faultserver.Rule{Fault: fault})
		for _, mirrors := range [][]string{{bad.URL, m.server.URL}, {m.server.URL, bad.URL}, {m.server.URL, "http://127.0.0.1:1"}, {"http://127.0.0.1:1", m.server.URL}, {m.server.URL, "/nosuch"}} {
			code, _, stderr := deltaup(t, append([]string{"install", "--sysroot", m.root, "--dry-run"}, mirrors...)...)
			if code != exitOK {
				t.Errorf("%s: exit code %d of %v: %s", what, code, mirrors, stderr)
			}
		}
	}
}
