//go:build !target

package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/faultserver"
	"deltaup/mirror"
	"deltaup/mirror/folder"
)

// contentAttacks are on what a server sends, and on what is reached by hash from signed metadata.
func contentAttacks() []attack {
	fault := func(path string, f faultserver.Fault, args ...string) func(m *victim) []string {
		return func(m *victim) []string {
			m.server.Add(faultserver.Rule{Path: path, Fault: f})
			return args
		}
	}
	swap := func(kind, route string) func(m *victim) []string {
		return func(m *victim) []string {
			m.swap(kind)
			return []string{"--route", route}
		}
	}
	gzip := faultserver.Header("Content-Encoding", "gzip")
	slow := faultserver.Slow(50)
	return []attack{
		{"endless data", "timestamp", exitTooLong, `metadata/timestamp.json: damaged on the mirror: MIRROR: longer than it may be: it goes on after the N bytes that are expected at most`, fault(mirror.TimestampPath, endless)},
		{"endless data", "root", exitTooLong, `metadata/2.root.json: damaged on the mirror: MIRROR: longer than it may be: it goes on after the N bytes that are expected at most`, fault("metadata/2.root.json", endless)},
		{"endless data", "snapshot", exitTooLong, `metadata/4.snapshot.json: damaged on the mirror: MIRROR: longer than it may be: it goes on after the N bytes that are expected at most`, fault("metadata/4.snapshot.json", endless)},
		{"endless data", "targets", exitTooLong, `metadata/4.targets.json: damaged on the mirror: MIRROR: longer than it may be: it goes on after the N bytes that are expected at most`, fault("metadata/4.targets.json", endless)},
		{"endless data", "release", exitTooLong, `releases/3.json: damaged on the mirror: MIRROR: longer than it may be: it goes on after the N bytes that are expected at most`, fault("releases/", endless)},
		{"endless data", "recipe", exitTooLong, `recipes/HASH.recipe.zst: damaged on the mirror: MIRROR: longer than it may be: the answer does not say where it ends: its hash is wrong`, fault("recipes/", endless, "--route", "chunks")},
		{"endless data", "index", exitTooLong, `indexes/HASH.index: damaged on the mirror: MIRROR: longer than it may be: the answer does not say where it ends: its hash is wrong`, fault("indexes/", endless, "--route", "chunks")},
		{"endless data", "pack", exitTooLong, `packs/HASH.pack: damaged on the mirror: MIRROR: longer than it may be: the answer does not say where it ends: packs/HASH.pack: chunk HASH at N: chunk HASH: corrupt: N bytes, expected N`, fault("packs/", endless, "--route", "chunks")},
		{"endless data", "patch set", exitTooLong, `release 3: no way to get the image: patch: patches/HASH.patch: damaged on the mirror: MIRROR: longer than it may be: the answer does not say where it ends: patches/HASH.patch: read patch set: corrupt: it does not begin like one; blocks: only the route patch was asked for; chunks: only the route patch was asked for; whole: only the route patch was asked for`, fault("patches/", endless, "--route", "patch")},
		{"endless data", "a recipe that is longer than signed", exitTooLong, `recipes/HASH.recipe.zst: damaged on the mirror: MIRROR: longer than it may be: it has N bytes, not N, and its hash is wrong`, func(m *victim) []string {
			name := mirror.RecipePath(m.release3().Artifacts[0].Recipe.ID)
			m.write(name, append([]byte("longer"), m.read(name)...))
			return []string{"--route", "chunks"}
		}},
		{"compressed on the way", "metadata", exitEncoding, `metadata/timestamp.json: damaged on the mirror: MIRROR: compressed on the way, which was not asked for: Content-Encoding "gzip"`, fault(mirror.TimestampPath, gzip)},
		{"compressed on the way", "content", exitEncoding, `packs/HASH.pack: damaged on the mirror: MIRROR: compressed on the way, which was not asked for: Content-Encoding "gzip"`, fault("packs/", gzip, "--route", "chunks")},
		{"decompression bomb", "chunks in packs", exitBomb, `packs/HASH.pack: damaged on the mirror: MIRROR: packs/HASH.pack: chunk HASH at N: chunk HASH: corrupt: decompresses to more than it may: decompressed size exceeds configured limit`, func(m *victim) []string {
			for _, name := range m.names("packs") {
				m.write(name, m.bombFrames(m.read(name)))
			}
			return []string{"--route", "chunks"}
		}},
		{"decompression bomb", "recipe, signed with all keys", exitBomb, `recipes/HASH.recipe.zst: damaged on the mirror: recipe HASH: corrupt: decompresses to more than it may: longer than the release says`, func(m *victim) []string {
			b := bomb(4000)
			r := m.release3()
			recipe := r.Artifacts[0].Recipe
			recipe.Object = mirror.Object{ID: chunkstore.Sum(b), Size: int64(len(b))}
			m.write(mirror.RecipePath(recipe.ID), b)
			file, err := r.Marshal()
			must(m.T, err)
			m.signRelease(file)
			return []string{"--route", "chunks"}
		}},
		{"slow drip", "metadata", exitSlow, `metadata/timestamp.json: unreachable: MIRROR: N bytes in TIME: it sends too slowly to ever come to an end (another mirror; --min-rate says what is too slow)`, fault(mirror.TimestampPath, slow, "--min-rate", "10k")},
		{"slow drip", "content", exitSlow, `packs/HASH.pack: unreachable: MIRROR: N bytes in TIME: it sends too slowly to ever come to an end (another mirror; --min-rate says what is too slow)`, fault("packs/", slow, "--route", "chunks", "--min-rate", "10k")},
		{"patch set swapped", "for a valid one of another step", exitOtherSet, `release 3: no way to get the image: patch: patches/HASH.patch: damaged on the mirror: MIRROR: patches/HASH.patch: the patch set of another step: its head has the hash HASH, not HASH: corrupt; blocks: only the route patch was asked for; chunks: only the route patch was asked for; whole: only the route patch was asked for`, swap("patches", "patch")},
		{"other bytes than published", "a valid pack of another release", exitMirror, `packs/HASH.pack: damaged on the mirror: MIRROR: has N bytes, at least N are expected`, swap("packs", "chunks")},
		{"other bytes than published", "a valid index of another release", exitMirror, `indexes/HASH.index: damaged on the mirror: MIRROR: has N bytes, at least N are expected`, swap("indexes", "chunks")},
		{"other bytes than published", "a valid image of another release", exitMirror, `release 3: no way to get the image: patch: only the route whole was asked for; blocks: images/HASH.squashfs: damaged on the mirror: MIRROR: images/HASH.squashfs: corrupt; chunks: only the route whole was asked for; whole: images/HASH.squashfs: damaged on the mirror: MIRROR: images/HASH.squashfs: corrupt`, swap("images", "whole")},
		{"other bytes than published", "a decompression bomb in the place of a recipe, which is not decompressed", exitMirror, `recipes/HASH.recipe.zst: damaged on the mirror: MIRROR: its hash is wrong`, func(m *victim) []string {
			b := bomb(int(m.release3().Artifacts[0].Recipe.Size))
			m.server.Add(faultserver.Rule{Path: "recipes/", Fault: faultserver.Replace(b)})
			return []string{"--route", "chunks"}
		}},
	}
}

// release3 is the release that the mirror offers.
func (m *victim) release3() *mirror.Release {
	m.Helper()
	r, err := mirror.ReadRelease(m.T.Context(), folder.At(m.p.states[3]), "3")
	must(m.T, err)
	return r
}

// swap serves, under the names of one kind, other valid files of that kind.
func (m *victim) swap(kind string) {
	m.Helper()
	names := m.names(kind)
	if len(names) < 2 {
		m.Fatalf("%d files in %s", len(names), kind)
	}
	first := m.read(names[0])
	for i, name := range names {
		next := first
		if i+1 < len(names) {
			next = m.read(names[i+1])
		}
		m.write(name, next)
	}
}

// bomb is a zstd frame of so many bytes that says it holds a gigabyte and more, and does, in blocks
// of one repeated byte.
func bomb(size int) []byte {
	b := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58} // magic, no sizes, window of 2 MiB
	for len(b)+4 <= size {
		b = append(b, 0x02, 0x00, 0x10, 0x00) // a block of 128 KiB: one byte, repeated
	}
	return append(b, make([]byte, size-len(b))...)
}

// bombFrames puts a bomb in the place of each chunk of a pack, of as many bytes as it has there.
func (m *victim) bombFrames(pack []byte) []byte {
	m.Helper()
	at, err := mirror.ReadLocations(m.T.Context(), folder.At(m.p.states[3]), m.release3())
	must(m.T, err)
	id := chunkstore.Sum(pack)
	for _, l := range at {
		if l.Pack == id {
			copy(pack[l.Offset:], append([]byte{1}, bomb(int(l.Length)-1)...))
		}
	}
	return pack
}

// endless answers everything with zeros that never end, asked for or not.
func endless(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	zeros := make([]byte, 32<<10)
	for r.Context().Err() == nil {
		if _, err := w.Write(zeros); err != nil {
			return
		}
	}
}

// TestSignedCounts holds what a pull tells of bytes and requests, metadata included, to what the
// server saw; and a poll that finds nothing new to two requests.
func TestSignedCounts(t *testing.T) {
	m := newVictim(t)
	for _, requests := range []int{0, 2} { // 0: as many as it takes
		m.server.Reset()
		out := mustDeltaup(t, "pull", m.server.URL, "--slot", m.slot(), "--seed", m.p.image[2], "--state", m.state(), "--json")
		var result struct {
			Event    string `json:"event"`
			Requests int    `json:"requests"`
			Bytes    int64  `json:"bytes_fetched"`
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		must(t, json.Unmarshal([]byte(lines[len(lines)-1]), &result))
		sent := int64(0)
		for _, r := range m.server.Log() {
			// there is no newer root; what the server says of that is not read
			if r.Status != http.StatusNotFound {
				sent += r.Body
			}
		}
		if n := len(m.server.Log()); result.Event != "result" || result.Requests != n || requests > 0 && n != requests {
			t.Errorf("%d requests, the server saw %d: %s", result.Requests, n, out)
		}
		if result.Bytes != sent {
			t.Errorf("%d bytes, the server sent %d", result.Bytes, sent)
		}
		t.Logf("%d requests, %d bytes", result.Requests, result.Bytes)
	}
	sameFile(t, m.slot(), m.p.image[3])
}
