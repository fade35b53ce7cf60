//go:build !target

package trust

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/mirror"
)

// Change says what [Publisher.Rotate] changes. The zero value changes nothing: it only signs a new
// root.
type Change struct {
	Role       string         // the role whose keys are replaced by new ones; "": none
	Revoke     string         // id, or its first 8 digits or more, of one key to replace; "": none
	Quorum     Quorum         // of Role from now on; zero: as before
	Lifetimes  map[string]int // days, by role; absent roles keep theirs
	Passphrase string         // protects new keys
	Work       int            // scrypt's work factor, as the exponent of two; 0 is DefaultWork
}

// Rotate publishes a new root: with new keys in place of old ones, with other thresholds or
// lifetimes, or only signed anew. Enough keys of the old root must be at hand, else the error wraps
// ErrKeys. Rotate signs first what the changed roles sign, with the new keys and with those old
// ones that are at hand, so that readers meanwhile find either state valid.
func (p *Publisher) Rotate(ctx context.Context, c Change) error {
	how := InitOptions{Lifetimes: c.Lifetimes, Passphrase: c.Passphrase, Work: c.Work}
	if c.Role == "" && c.Revoke == "" {
		how.Passphrase = "none needed"
	}
	if c.Role != "" {
		how.Quorums = map[string]Quorum{c.Role: {1, 1}}
	}
	if err := how.validate(); err != nil {
		return err
	}
	if err := p.checkClock(); err != nil {
		return err
	}
	old := p.root()
	root, err := copyRoot(old)
	if err != nil {
		return err
	}
	// Without these keys nothing can be done, so look before making new ones.
	if _, err := p.signers(metadata.ROOT, old); err != nil {
		return err
	}
	if err := p.replaceKeys(root, c, how); err != nil {
		return err
	}
	setLifetimes(root, c.Lifetimes)
	b, err := p.newRoot(root)
	if err != nil {
		return err
	}
	if err := p.sealFor(ctx, false, old, root); err != nil {
		return err
	}
	if err := p.o.Mirror.Write(ctx, mirror.MetadataPath(metadata.ROOT, root.Signed.Version),
		b); err != nil {
		return err
	}
	p.roots = append(p.roots, root)
	return writeFile(p.o.Keys[0], filepath.Join(p.o.Keys[0], rootFile), b)
}

func copyRoot(
	old *metadata.Metadata[metadata.RootType],
) (*metadata.Metadata[metadata.RootType], error) {
	b, err := old.ToBytes(false)
	if err != nil {
		return nil, err
	}
	return new(metadata.Metadata[metadata.RootType]).FromBytes(b)
}

// replaceKeys removes from root the keys that c names and adds new ones in their place.
func (p *Publisher) replaceKeys(root *metadata.Metadata[metadata.RootType], c Change,
	how InitOptions) error {
	revoked := false
	for _, role := range Roles {
		var gone []string
		r := root.Signed.Roles[role]
		for _, id := range r.KeyIDs {
			named := len(c.Revoke) >= 8 && strings.HasPrefix(id, c.Revoke)
			if named || role == c.Role {
				gone = append(gone, id)
			}
			revoked = revoked || named
		}
		if len(gone) == 0 {
			continue
		}
		wanted := Quorum{r.Threshold, len(r.KeyIDs)}
		if role == c.Role && c.Quorum != (Quorum{}) {
			wanted = c.Quorum
		}
		if err := wanted.validate(role); err != nil {
			return err
		}
		for _, id := range gone {
			if err := root.Signed.RevokeKey(id, role); err != nil {
				return err
			}
		}
		r.Threshold = wanted.Threshold
		for len(r.KeyIDs) < wanted.Keys {
			key, _, err := p.ring.add(role, how.Passphrase, how.Work)
			if err != nil {
				return err
			}
			if err := root.Signed.AddKey(key, role); err != nil {
				return err
			}
		}
	}
	if c.Revoke != "" && !revoked {
		return fmt.Errorf(
			"key %s: %w: the root has no such key (8 or more digits of its id are wanted)",
			c.Revoke, ErrUnknown)
	}
	return nil
}

// setLifetimes notes in root for how many days the signatures of each role hold.
func setLifetimes(root *metadata.Metadata[metadata.RootType], days map[string]int) {
	all := map[string]any{}
	for _, role := range Roles {
		all[role] = int(lifetime(&root.Signed, role).Hours() / 24)
		if n := days[role]; n > 0 {
			all[role] = n
		}
	}
	if root.Signed.UnrecognizedFields == nil {
		root.Signed.UnrecognizedFields = map[string]any{}
	}
	root.Signed.UnrecognizedFields[lifetimesMember] = all
}

// newRoot signs root as the next version, with its own keys and with those of the newest root.
func (p *Publisher) newRoot(root *metadata.Metadata[metadata.RootType]) ([]byte, error) {
	now := p.o.Now().UTC().Truncate(time.Second)
	root.Signed.Version++
	root.Signed.Expires = now.Add(lifetime(&root.Signed, metadata.ROOT))
	root.Signed.UnrecognizedFields[signedMember] = now.Format(time.RFC3339)
	old := p.root()
	b, err := signRoot(p, root, old)
	if err == nil {
		err = old.VerifyDelegate(metadata.ROOT, root)
	}
	return b, err
}

// signRoot is sign for a root, and demands the keys of both roots.
func signRoot(p *Publisher, root, old *metadata.Metadata[metadata.RootType]) ([]byte, error) {
	if _, err := p.signers(metadata.ROOT, old); err != nil {
		return nil, err
	}
	return sign(p, metadata.ROOT, root, []*metadata.Metadata[metadata.RootType]{old, root})
}
