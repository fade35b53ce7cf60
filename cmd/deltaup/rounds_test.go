package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/internal/test/faultserver"
	"deltaup/internal/test/roundserver"
	"deltaup/mirror"
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

// TestBundledFiles has a mirror put other bytes into a well-formed bundle, in the place of each of
// its members: the update comes out as it should, and takes only what is wrong once more.
func TestBundledFiles(t *testing.T) {
	p := newPublisher(t)
	const name = "metadata/4.stable.bundle"
	good, err := os.ReadFile(filepath.Join(p.states[3], name))
	must(t, err)
	members, err := mirror.ParseBundle(good[:bundleSize(t, good)])
	must(t, err)
	if len(members) != 4 || !strings.HasPrefix(members[3].Name, "patches/") {
		t.Fatalf("the bundle has %d members", len(members))
	}
	for i, m := range members {
		t.Run(strings.Split(m.Name, "/")[0]+"/"+filepath.Ext(m.Name), func(t *testing.T) {
			server := faultserver.New(t, serve.Handler(p.states[3]))
			server.Add(faultserver.Rule{Path: name, Fault: faultserver.Replace(wrongMember(t, members, i, good))})
			dir := t.TempDir()
			slot := filepath.Join(dir, "slot")
			mustDeltaup(t, "pull", server.URL, "--seed", p.image[2], "--slot", slot, "--state", filepath.Join(dir, "state"),
				"--root", filepath.Join(p.keys, "root.json"), "--route", "patch")
			sameFile(t, slot, p.image[3])
			again := server.Requests(m.Name)
			if i == 3 { // the groups are asked for as well
				again--
			}
			if n := len(server.Log()); again != 1 || n != 5 {
				t.Errorf("%d requests for %s, %d in all", again, m.Name, n)
			}
		})
	}
}

// bundleSize is how long the bundle is that a file begins with.
func bundleSize(t *testing.T, b []byte) int {
	t.Helper()
	for n := len(b); n > 0; n-- {
		if _, err := mirror.ParseBundle(b[:n]); err == nil {
			return n
		}
	}
	t.Fatal("no bundle")
	return 0
}

// wrongMember gives a bundle as long as good in which one member has other bytes.
func wrongMember(t *testing.T, members mirror.Bundle, i int, good []byte) []byte {
	t.Helper()
	size := bundleSize(t, good)
	for k := range members[i].Bytes {
		x := slices.Clone(members)
		x[i].Bytes = bytes.Clone(x[i].Bytes)
		x[i].Bytes[k] ^= 1
		if b, err := x.Marshal(); err == nil && len(b) == size {
			return append(b, good[size:]...)
		}
	}
	t.Fatal("it cannot be made as long")
	return nil
}
