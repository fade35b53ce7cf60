package settings

import (
	"fmt"
	"io"

	"deltaup/settings/list"
	"deltaup/settings/tarball"
)

// TarExported is what an export to a tar archive did.
type TarExported struct {
	Files   int // entries of the archive
	Secrets int // paths left out since they are secret
	Gone    int // paths that the machine removed, of which an archive cannot tell
}

// ExportTar writes a generation as a tar archive, as settings import reads it. Secrets stay out.
// running is as in GitExport.
func (s *Store) ExportTar(w io.Writer, g *Generation, running *list.List) (*TarExported, error) {
	secret := s.Secrets(g, running)
	archive := tarball.NewWriter(w, g.Time)
	done := &TarExported{}
	for i := range g.Entries {
		e := &g.Entries[i]
		if secret(e.Path) {
			done.Secrets++
			continue
		}
		entry := tarball.Entry{Name: e.Path[1:], Mode: e.Mode, UID: e.UID, GID: e.GID, Target: e.Target}
		var content []byte
		switch e.Kind {
		case File:
			entry.Type = tarball.File
			var err error
			if content, err = s.readObject(e.Content, MaxFile); err != nil {
				return nil, fmt.Errorf("%s: %w", e.Path, err)
			}
		case Folder:
			entry.Type = tarball.Folder
		case Link:
			entry.Type, entry.Mode = tarball.Link, 0o777
		default:
			done.Gone++
			continue
		}
		for _, x := range e.Xattrs {
			if entry.Xattrs == nil {
				entry.Xattrs = map[string]string{}
			}
			entry.Xattrs[x.Name] = x.Value
		}
		if err := archive.Add(&entry, content); err != nil {
			return nil, err
		}
		done.Files++
	}
	return done, archive.Close()
}
