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

// setupOutputs are what boot setup can be told to write, with the flag of each. A boot loader
// refuses those that it does not have.
var setupOutputs = []struct{ name, usage string }{
	{grub.OutputPart, "write the menu entries to `FILE`"},
	{grub.OutputGenerator, "write a generator to `FILE`, such as /etc/grub.d/42_deltaup"},
	{grub.OutputWhole, "write a whole grub.cfg to `FILE`"},
}
