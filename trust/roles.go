//go:build !target

package trust

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// maxKeys is how many keys a role may have.
const maxKeys = 16

// Quorum is how many keys a role has, and how many of them must sign.
type Quorum struct{ Threshold, Keys int }

func (q Quorum) validate(role string) error {
	if q.Keys < 1 || q.Keys > maxKeys || q.Threshold < 1 || q.Threshold > q.Keys {
		return fmt.Errorf("role %s: %d of %d keys cannot sign", role, q.Threshold, q.Keys)
	}
	return nil
}

// KeyInfo describes one key for [Publisher.Keys].
type KeyInfo struct {
	Role string `json:"role"` // "" for a key that the root does not have any more
	// 64 hex digits; only the first 16 for a key that the root does not have
	ID   string `json:"id"`
	File string `json:"file"` // of the private key; "" when it is not at hand
}

// RoleInfo describes one role for [Publisher.Keys].
type RoleInfo struct {
	Role      string    `json:"role"`
	Version   int64     `json:"version"` // of its metadata; 0: none
	Threshold int       `json:"threshold"`
	Expires   time.Time `json:"expires"`
	Lifetime  int       `json:"lifetime_days"`
	Keys      []KeyInfo `json:"keys"`
}

// Keys describes all roles with their keys, and key files whose keys the root does not have.
func (p *Publisher) Keys() (roles []RoleInfo, unused []KeyInfo, err error) {
	files, err := p.ring.files()
	if err != nil {
		return nil, nil, err
	}
	root := p.root()
	for _, role := range Roles {
		r := root.Signed.Roles[role]
		info := RoleInfo{
			Role:      role,
			Threshold: r.Threshold,
			Lifetime:  int(lifetime(&root.Signed, role).Hours() / 24),
		}
		switch role {
		case metadata.ROOT:
			info.Version, info.Expires = root.Signed.Version, root.Signed.Expires
		case metadata.TARGETS:
			info.Version, info.Expires = p.targets.Signed.Version, p.targets.Signed.Expires
		case metadata.SNAPSHOT:
			info.Version, info.Expires = p.snapshot.Signed.Version, p.snapshot.Signed.Expires
		case metadata.TIMESTAMP:
			info.Version, info.Expires = p.timestamp.Signed.Version, p.timestamp.Signed.Expires
		}
		for _, id := range r.KeyIDs {
			short := id[:min(len(id), keyIDShort)]
			info.Keys = append(info.Keys, KeyInfo{Role: role, ID: id, File: files[short]})
			delete(files, short)
		}
		roles = append(roles, info)
	}
	for _, id := range slices.Sorted(maps.Keys(files)) {
		unused = append(unused, KeyInfo{ID: id, File: files[id]})
	}
	return roles, unused, nil
}
