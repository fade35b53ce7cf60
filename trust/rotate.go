package trust

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/mirror"
)

// Change is what [Publisher.Rotate] does.
type Change struct {
	Role       string         // whose keys are replaced by as many new ones; "": none
	Revoke     string         // id of one key, or the beginning of one, that is replaced; ""
	Quorum     Quorum         // of Role from now on; zero: as it was
	Lifetimes  map[string]int // days, by role; those absent stay
	Passphrase string         // of new keys
	Work       int            // scrypt's, as a power of two; 0 is DefaultWork
}

// Rotate publishes a new root: with new keys in place of old ones, other thresholds or other
// lifetimes, or only signed anew. Enough keys of the old root must be at hand. What the changed
// roles sign is signed anew first, by old and new keys where the old are at hand, so that whoever
// reads meanwhile finds one state or the other.
func (p *Publisher) Rotate(c Change) error {
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
	// Before a key is made: without these nothing can be done.
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
	if err := p.sealFor(false, old, root); err != nil {
		return err
	}
	if err := p.write(mirror.MetadataPath(metadata.ROOT, root.Signed.Version), b); err != nil {
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

// replaceKeys removes from root the keys that are to go and adds new ones in their place.
func (p *Publisher) replaceKeys(root *metadata.Metadata[metadata.RootType], c Change,
	how InitOptions) error {
	for _, role := range Roles {
		var gone []string
		r := root.Signed.Roles[role]
		for _, id := range r.KeyIDs {
			if role == c.Role ||
				c.Revoke != "" && len(c.Revoke) >= 8 && len(id) >= len(c.Revoke) &&
					id[:len(c.Revoke)] == c.Revoke {
				gone = append(gone, id)
			}
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
		c.Revoke = ""
	}
	if c.Revoke != "" {
		return fmt.Errorf(
			"key %s: %w: the root has no such key (8 or more digits of its id are wanted)",
			c.Revoke,
			ErrUnknown,
		)
	}
	return nil
}

// setLifetimes notes how many days the signatures of each role hold.
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

// newRoot signs root as the next version, by its own keys and those of the newest that there is.
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

// signRoot is sign, but for that the keys of both roots must be at hand.
func signRoot(p *Publisher, root, old *metadata.Metadata[metadata.RootType]) ([]byte, error) {
	if _, err := p.signers(metadata.ROOT, old); err != nil {
		return nil, err
	}
	return sign(p, metadata.ROOT, root, []*metadata.Metadata[metadata.RootType]{old, root})
}
