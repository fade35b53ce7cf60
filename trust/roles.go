package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/internal/durable"
	"deltaup/mirror"
)

// Roles are the names of all roles, in the order in which they vouch for each other.
var Roles = []string{metadata.ROOT, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP}

// maxKeys is how many keys a role may have.
const maxKeys = 16

// Quorum is how many keys a role has and how many of them have to sign.
type Quorum struct{ Threshold, Keys int }

func (q Quorum) validate(role string) error {
	if q.Keys < 1 || q.Keys > maxKeys || q.Threshold < 1 || q.Threshold > q.Keys {
		return fmt.Errorf("role %s: %d of %d keys cannot sign", role, q.Threshold, q.Keys)
	}
	return nil
}

// InitOptions say what [Init] makes. Absent roles have one key, and their default lifetime.
type InitOptions struct {
	Quorums   map[string]Quorum
	Lifetimes map[string]int // days
	// Passphrase protects all new keys.
	Passphrase string
	Work       int // scrypt's, as a power of two; 0 is DefaultWork
}

func (o *InitOptions) validate() error {
	if o.Work == 0 {
		o.Work = DefaultWork
	}
	if o.Work < 1 || o.Work > 22 {
		return fmt.Errorf("a work factor of %d", o.Work)
	}
	if o.Passphrase == "" {
		return fmt.Errorf("an empty passphrase: %w", ErrPassphrase)
	}
	for role, days := range o.Lifetimes {
		if !slices.Contains(Roles, role) || days < 1 || days > 36500 {
			return fmt.Errorf("role %q: a lifetime of %d days", role, days)
		}
	}
	for role, q := range o.Quorums {
		if !slices.Contains(Roles, role) {
			return fmt.Errorf("role %q is none of %v", role, Roles)
		}
		if err := q.validate(role); err != nil {
			return err
		}
	}
	return nil
}

// Init makes the keys of all roles and the first root of a mirror, and signs that the mirror is empty as yet. The caller holds
// the mirror's lock. The root lies on the mirror and beside the keys, whence targets get it. ErrInitialized is wrapped when
// either place has one.
func Init(o PublisherOptions, how InitOptions) (*Publisher, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := how.validate(); err != nil {
		return nil, err
	}
	p := &Publisher{o: o, ring: newKeyRing(o.Keys, o.Passphrases)}
	first := p.path(mirror.MetadataPath(metadata.ROOT, 1))
	for _, path := range []string{first, filepath.Join(o.Keys[0], rootFile)} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(fmt.Errorf("%s: %w", path, ErrInitialized), err)
		}
	}
	if err := durable.MkdirAll(o.Keys[0]); err != nil {
		return nil, err
	}
	if err := os.Chmod(o.Keys[0], 0o700); err != nil {
		return nil, err
	}
	root := metadata.Root()
	root.Signed.Version = 0 // newRoot counts
	for _, role := range Roles {
		q := how.Quorums[role]
		if q == (Quorum{}) {
			q = Quorum{1, 1}
		}
		root.Signed.Roles[role].Threshold = q.Threshold
		for range q.Keys {
			key, _, err := p.ring.add(role, how.Passphrase, how.Work)
			if err != nil {
				return nil, err
			}
			if err := root.Signed.AddKey(key, role); err != nil {
				return nil, err
			}
		}
	}
	setLifetimes(root, how.Lifetimes)
	p.targets, p.snapshot, p.timestamp, p.catalog = metadata.Targets(), metadata.Snapshot(), metadata.Timestamp(), &catalog{}
	p.targets.Signed.Version, p.snapshot.Signed.Version, p.timestamp.Signed.Version = 0, 0, 0
	p.roots = []*metadata.Metadata[metadata.RootType]{root}
	b, err := p.newRoot(root)
	if err != nil {
		return nil, err
	}
	if err := p.sealFor(true, root); err != nil {
		return nil, err
	}
	// Beside the keys first: from there on the mirror can be signed, and nobody asks it for its first root.
	if err := writeFile(o.Keys[0], filepath.Join(o.Keys[0], rootFile), b); err != nil {
		return nil, err
	}
	return p, p.write(mirror.MetadataPath(metadata.ROOT, root.Signed.Version), b)
}

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

// Change is what [Publisher.Rotate] does.
type Change struct {
	Role       string         // whose keys are replaced by as many new ones; "": none
	Revoke     string         // id of one key, or the beginning of one, that is replaced; ""
	Quorum     Quorum         // of Role from now on; zero: as it was
	Lifetimes  map[string]int // days, by role; those absent stay
	Passphrase string         // of new keys
	Work       int            // scrypt's, as a power of two; 0 is DefaultWork
}

// Rotate publishes a new root: with new keys in place of old ones, other thresholds or other lifetimes, or only signed
// anew. Enough keys of the old root must be at hand. What the changed roles sign is signed anew
// first, by old and new keys where the old are at hand, so that whoever reads meanwhile finds one state or the other.
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

func copyRoot(old *metadata.Metadata[metadata.RootType]) (*metadata.Metadata[metadata.RootType], error) {
	b, err := old.ToBytes(false)
	if err != nil {
		return nil, err
	}
	return new(metadata.Metadata[metadata.RootType]).FromBytes(b)
}

// replaceKeys removes from root the keys that are to go and adds new ones in their place.
func (p *Publisher) replaceKeys(root *metadata.Metadata[metadata.RootType], c Change, how InitOptions) error {
	for _, role := range Roles {
		var gone []string
		r := root.Signed.Roles[role]
		for _, id := range r.KeyIDs {
			if role == c.Role || c.Revoke != "" && len(c.Revoke) >= 8 && len(id) >= len(c.Revoke) && id[:len(c.Revoke)] == c.Revoke {
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
		return fmt.Errorf("key %s: %w: the root has no such key (8 or more digits of its id are wanted)", c.Revoke, ErrUnknown)
	}
	return nil
}

// KeyInfo is one key, as [Publisher.Keys] tells of it.
type KeyInfo struct {
	Role string `json:"role"` // "" for a key that the root does not have any more
	ID   string `json:"id"`   // 64 hex digits, fewer for a key that the root does not have
	File string `json:"file"` // of the private key; "" when it is not at hand
}

// RoleInfo is what [Publisher.Keys] tells of a role.
type RoleInfo struct {
	Role      string    `json:"role"`
	Version   int64     `json:"version"` // of its metadata; 0: none
	Threshold int       `json:"threshold"`
	Expires   time.Time `json:"expires"`
	Lifetime  int       `json:"lifetime_days"`
	Keys      []KeyInfo `json:"keys"`
}

// Keys tells of all roles and keys, and of key files that are of no use any more.
func (p *Publisher) Keys() (roles []RoleInfo, unused []KeyInfo, err error) {
	files, err := p.ring.files()
	if err != nil {
		return nil, nil, err
	}
	root := p.root()
	for _, role := range Roles {
		r := root.Signed.Roles[role]
		info := RoleInfo{Role: role, Threshold: r.Threshold, Lifetime: int(lifetime(&root.Signed, role).Hours() / 24)}
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
