package settings

import (
	"errors"
	"strconv"

	"deltaup/internal/folder"
)

// publish writes generations, the defaults of an image unless the store has them, and what is laid.
// Before, the caller has written the objects and upper folders that they name. It makes all durable,
// in this order: what is named, generations, what is laid. A cut before the last step leaves what
// was laid before.
func (s *Store) publish(laid *Laid, generations []*Generation, d *defaults) error {
	var renames []func() error
	stage := func(in *folder.Folder, name string, text []byte) error {
		rename, err := s.replace(in, name, text)
		renames = append(renames, rename)
		return err
	}
	changed := []*folder.Folder{}
	if d.fresh {
		text, err := d.format()
		if err == nil {
			err = stage(s.defaults, d.Image.String(), text)
		}
		if err != nil {
			return err
		}
		changed = append(changed, s.defaults)
	}
	for _, g := range generations {
		text, err := g.format()
		if err == nil {
			err = stage(s.generations, strconv.Itoa(g.Number), text)
		}
		if err != nil {
			return err
		}
	}
	if len(generations) > 0 {
		changed = append(changed, s.generations)
	}
	lay, err := s.replace(s.top, nameLaid, laid.format())
	if err != nil {
		return err
	}
	if err := s.top.SyncAll(); err != nil {
		return err
	}
	for _, rename := range renames {
		err = errors.Join(err, rename())
	}
	for _, f := range changed {
		if err == nil {
			err = f.Sync()
		}
	}
	if err == nil {
		err = lay()
	}
	if err == nil {
		err = s.top.Sync()
	}
	return err
}
