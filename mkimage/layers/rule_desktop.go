package layers

import (
	"errors"

	"deltaup/mkimage/layers/gschemas"
	"deltaup/mkimage/layers/iconcache"
	"deltaup/mkimage/layers/mime"
	"deltaup/mkimage/layers/mimeinfo"
)

// mediaTypes makes the database of media types.
func (c *composition) mediaTypes() error {
	s := c.stage
	if !c.definition.Rules.Mime {
		return nil
	}
	files, err := mime.Build(s.tree())
	if errors.Is(err, mime.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := s.write(f.Path, s.made("mime", 0o644, f.Content)); err != nil {
			return err
		}
	}
	return nil
}

// applications makes the list of applications by the media types that they open.
func (c *composition) applications() error {
	s := c.stage
	if !c.definition.Rules.Applications {
		return nil
	}
	content, err := mimeinfo.Build(s.tree())
	if err != nil || content == nil {
		return err
	}
	return s.write(mimeinfo.Path, s.made("applications", 0o644, content))
}

// schemas compiles the settings schemas of GLib's applications.
func (c *composition) schemas() error {
	s := c.stage
	if !c.definition.Rules.Schemas {
		return nil
	}
	content, err := gschemas.Build(s.tree())
	if errors.Is(err, gschemas.ErrUnknown) || content == nil && err == nil {
		return nil
	}
	if err != nil {
		return err
	}
	return s.write(gschemas.Path, s.made("schemas", 0o644, content))
}

// icons makes the index of each icon theme.
func (c *composition) icons() error {
	s := c.stage
	if !c.definition.Rules.Icons {
		return nil
	}
	for _, f := range iconcache.Build(s.tree()) {
		if err := s.write(f.Path, s.made("icons", 0o644, f.Content)); err != nil {
			return err
		}
	}
	return nil
}
