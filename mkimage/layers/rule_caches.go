package layers

import (
	"errors"

	"deltaup/mkimage/layers/catalog"
	"deltaup/mkimage/layers/fontcache"
	"deltaup/mkimage/layers/gschemas"
	"deltaup/mkimage/layers/hwdb"
	"deltaup/mkimage/layers/iconcache"
	"deltaup/mkimage/layers/ldcache"
	"deltaup/mkimage/layers/mime"
	"deltaup/mkimage/layers/mimeinfo"
	"deltaup/mkimage/modules"
)

// cache writes the file that a rule computed of the whole tree, unless the tree has nothing to
// compute it of: content is nil, or the error is the package's ErrUnknown.
func (c *composition) cache(rule, path string, mode uint16, content []byte, err, unknown error) error {
	if err != nil {
		if errors.Is(err, unknown) {
			return nil
		}
		return err
	}
	if content == nil {
		return nil
	}
	return c.stage.write(path, c.stage.made(rule, mode, content))
}

// writeAll writes the files that a rule computed.
func writeAll[F ~struct {
	Path    string
	Content []byte
}](s *stage, rule string, files []F) error {
	for _, f := range files {
		file := struct {
			Path    string
			Content []byte
		}(f)
		if err := s.write(file.Path, s.made(rule, 0o644, file.Content)); err != nil {
			return err
		}
	}
	return nil
}

// hardware makes the database of hardware that udev reads.
func (c *composition) hardware() error {
	content, err := hwdb.Build(c.stage.tree())
	return c.cache("hwdb", hwdb.VendorPath, 0o444, content, err, hwdb.ErrUnknown)
}

// messages makes the journal's catalog of messages.
func (c *composition) messages() error {
	content, err := catalog.Build(c.stage.tree())
	return c.cache("catalog", catalog.Path, 0o644, content, err, nil)
}

// applications makes the list of applications by the media types that they open.
func (c *composition) applications() error {
	content, err := mimeinfo.Build(c.stage.tree())
	return c.cache("applications", mimeinfo.Path, 0o644, content, err, nil)
}

// schemas compiles the settings schemas of GLib's applications.
func (c *composition) schemas() error {
	content, err := gschemas.Build(c.stage.tree())
	return c.cache("schemas", gschemas.Path, 0o644, content, err, gschemas.ErrUnknown)
}

// mediaTypes makes the database of media types.
func (c *composition) mediaTypes() error {
	files, err := mime.Build(c.stage.tree())
	if errors.Is(err, mime.ErrUnknown) {
		return nil
	}
	return errors.Join(err, writeAll(c.stage, "mime", files))
}

// icons makes the index of each icon theme.
func (c *composition) icons() error {
	return writeAll(c.stage, "icons", iconcache.Build(c.stage.tree()))
}

// fonts makes fontconfig's caches. Folders that get none are told of as warnings.
func (c *composition) fonts() error {
	files, notes, err := fontcache.Build(c.stage.tree())
	if errors.Is(err, fontcache.ErrUnknown) {
		c.stage.warnings = append(c.stage.warnings, "no font caches: "+err.Error())
		return nil
	}
	c.stage.warnings = append(c.stage.warnings, notes...)
	c.fontCaches = len(files) > 0
	return errors.Join(err, writeAll(c.stage, "fonts", files))
}

// kernelModules makes depmod's files of each kernel's modules.
func (c *composition) kernelModules() error {
	t := c.stage.tree()
	for _, version := range modules.Versions(t) {
		files, err := modules.Depmod(c.ctx, t, version)
		if err := errors.Join(err, writeAll(c.stage, "depmod", files)); err != nil {
			return err
		}
	}
	return nil
}

// libraries makes the cache of shared libraries, and the links that ldconfig(8) makes for them.
func (c *composition) libraries() error {
	s := c.stage
	made, err := ldcache.Build(s.tree())
	if errors.Is(err, ldcache.ErrUnknown) {
		return nil // another libc, or none
	}
	if err != nil {
		return err
	}
	for _, l := range made.Links {
		if err := s.write(l.Path, s.symlink("libraries", l.Target)); err != nil {
			return err
		}
	}
	for _, p := range made.Stale {
		s.remove(p)
	}
	return s.write(ldcache.Path, s.made("libraries", 0o644, made.Cache))
}
