//go:build !target

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deltaup/mirror/folder"
	"deltaup/trust"
)

// TestStick updates a machine from a folder that was written 30 days ago: as far as its operator's
// policy goes, which is in the configuration or on the command line, and no further. All else is
// verified as from any mirror.
func TestStick(t *testing.T) {
	m := newVictim(t)
	p, err := trust.OpenPublisher(t.Context(), trust.PublisherOptions{
		Mirror: folder.At(m.mirror), Keys: []string{m.p.keys},
		Passphrases: func(string) ([]string, error) { return []string{"correct horse"}, nil },
		// and valid for 14 days
		Now:      func() time.Time { return time.Now().Add(-30 * 24 * time.Hour) },
		AnyClock: true,
	})
	must(t, err)
	must(t, p.Refresh(t.Context()))
	config := filepath.Join(m.root, "etc/deltaup/deltaup.toml")
	slots, err := os.ReadFile(config)
	must(t, err)
	for _, tt := range []struct {
		policy string
		args   []string
		code   int
		says   string
	}{
		{"", nil, exitFrozen, "metadata/timestamp.json: expired on "},
		{"10d", nil, exitFrozen, ", longer ago than is accepted"},
		{"90d", []string{"--accept-expired", "24h"}, exitFrozen, ", longer ago than is accepted"},
		{"", []string{"--accept-expired", "90d", "--dry-run"}, exitOK, "the signed timestamp expired on "},
		{"90d", nil, exitOK, "the signed timestamp expired on "},
	} {
		text := string(slots)
		if tt.policy != "" {
			text = "accept_expired = \"" + tt.policy + "\"\n" + text
		}
		must(t, os.WriteFile(config, []byte(text), 0o644))
		args := append([]string{"install", m.mirror, "--sysroot", m.root}, tt.args...)
		code, _, stderr := deltaup(t, args...)
		if code != tt.code || !strings.Contains(stderr, tt.says) {
			t.Errorf("policy %q, %v: exit code %d, want %d with %q: %s", tt.policy, tt.args, code, tt.code, tt.says, stderr)
		}
	}
	sameFile(t, m.slot(), m.p.image[3])
	// What is on the stick is nobody's but the publisher's, whatever the policy.
	m.write("metadata/timestamp.json", []byte("{}"))
	if code, _, stderr := deltaup(t, "install", m.mirror, "--sysroot", m.root); code != exitMalformed {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
