package grub

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	"deltaup/slotboot/counted"
)

//go:embed part.cfg.tmpl
var partText string

var partTemplate = template.Must(template.New("part.cfg").Parse(partText))

// try is one number of tries and the one that follows it.
type try struct{ Left, Next int }

// Part is a script for "source": functions and menu entries. It neither sets the default nor the
// time-out, and boots nothing until its entry is chosen.
func (c *Config) Part() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	data := struct {
		*Config
		ID       string
		Tries    []try
		SlotArgs map[string]string
	}{Config: c, ID: ID, SlotArgs: map[string]string{}}
	for n := 1; n <= counted.MaxTries; n++ {
		data.Tries = append(data.Tries, try{n, n - 1})
	}
	for _, s := range c.Slots {
		data.SlotArgs[s.Name] = c.args(s)
	}
	var b bytes.Buffer
	if err := partTemplate.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return b.Bytes(), nil
}

// Whole is a grub.cfg that boots the counted entry at once, without a menu.
func (c *Config) Whole() ([]byte, error) {
	part, err := c.Part()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, line := range c.Preamble {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintf(&b, "set default=%s\nset timeout=0\n\n", ID)
	b.Write(part)
	return b.Bytes(), nil
}

// Generator is a shell script for /etc/grub.d that prints Part.
func (c *Config) Generator() ([]byte, error) {
	part, err := c.Part()
	if err != nil {
		return nil, err
	}
	const end = "END_OF_DELTAUP"
	return []byte(strings.Join([]string{"#!/bin/sh", "cat <<'" + end + "'", string(part) + end, ""}, "\n")), nil
}
