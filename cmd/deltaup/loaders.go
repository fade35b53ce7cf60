package main

import (
	"deltaup/device"
	"deltaup/slotboot/config"
	"deltaup/slotboot/grub"
	"deltaup/slotboot/machine"
)

// loaders are the boot loaders that boot.loader can name. A new one is a line here.
var loaders = device.Loaders{
	"grub": func(m machine.Machine, c *config.Config) (device.Loader, error) { return grub.New(m, c) },
}
