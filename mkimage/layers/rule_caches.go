package layers

import (
	"errors"

	"deltaup/mkimage/layers/catalog"
	"deltaup/mkimage/layers/hwdb"
	"deltaup/mkimage/layers/ldcache"
	"deltaup/mkimage/modules"
)

// libraries makes the cache of shared libraries, and the links that ldconfig(8) makes for them.
func (c *composition) libraries() error {
	s := c.stage
	if !c.definition.Rules.Libraries {
		return nil
	}
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

// kernelModules makes depmod's files of each kernel's modules.
func (c *composition) kernelModules() error {
	s := c.stage
	if !c.definition.Rules.Depmod {
		return nil
	}
	t := s.tree()
	for _, version := range modules.Versions(t) {
		files, err := modules.Depmod(c.ctx, t, version)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := s.write(f.Path, s.made("depmod", 0o644, f.Content)); err != nil {
				return err
			}
		}
	}
	return nil
}

// hardware makes the database of hardware that udev reads.
func (c *composition) hardware() error {
	s := c.stage
	if !c.definition.Rules.Hwdb {
		return nil
	}
	content, err := hwdb.Build(s.tree())
	if errors.Is(err, hwdb.ErrUnknown) || content == nil && err == nil {
		return nil
	}
	if err != nil {
		return err
	}
	return s.write(hwdb.VendorPath, s.made("hwdb", 0o444, content))
}

// messages makes the journal's catalog of messages.
func (c *composition) messages() error {
	s := c.stage
	if !c.definition.Rules.Catalog {
		return nil
	}
	content, err := catalog.Build(s.tree())
	if err != nil || content == nil {
		return err
	}
	return s.write(catalog.Path, s.made("catalog", 0o644, content))
}
