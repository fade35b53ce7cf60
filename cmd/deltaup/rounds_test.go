package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/internal/test/roundserver"
	"deltaup/mirror/serve"
)

// TestRounds counts the round trips of an update from a signed mirror, and of a poll.
func TestRounds(t *testing.T) {
	p := newPublisher(t)
	for how, setup := range map[roundserver.Protocol]int{roundserver.Plain: 1, roundserver.TLS: 2, roundserver.HTTP2: 2} {
		t.Run(string(how), func(t *testing.T) {
			s := roundserver.New(t, serve.Handler(p.states[3]), how)
			dir := t.TempDir()
			slot := filepath.Join(dir, "slot")
			pull := []string{"pull", s.URL, "--seed", p.image[2], "--slot", slot, "--state", filepath.Join(dir, "state"),
				"--root", filepath.Join(p.keys, "root.json"), "--route", "patch"}
			if s.CAFile != "" {
				pull = append(pull, "--ca-file", s.CAFile)
			}
			counts := func(what string, rounds int, wants ...string) {
				t.Helper()
				mustDeltaup(t, pull...)
				sameFile(t, slot, p.image[3])
				n, names, connections := s.Count()
				for i, name := range names {
					names[i], _, _ = strings.Cut(name, "/")
					if names[i] == "metadata" {
						names[i] = filepath.Base(name)
					}
				}
				t.Logf("%s: %d rounds, with %d for a connection; %d connections", what, n, setup, connections)
				slices.Sort(names)
				if n != setup+rounds || !slices.Equal(names, wants) {
					t.Errorf("%s: %d rounds for %q, not %d for %q", what, n, names, setup+rounds, wants)
				}
			}
			counts("an update", 3, "2.root.json", "4.stable.bundle", "patches", "timestamp.json")
			counts("a poll", 1, "2.root.json", "timestamp.json")
		})
	}
}
