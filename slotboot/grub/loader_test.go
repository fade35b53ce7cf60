package grub_test

import (
	"os"
	"strings"
	"testing"

	"deltaup/internal/test/grubtest"
	"deltaup/internal/test/loadertest"
	"deltaup/slotboot/grub"
)

// TestLoader runs the tests of all boot loaders with the model of GRUB's script.
func TestLoader(t *testing.T) {
	loadertest.Run(t, func(t *testing.T) *loadertest.Bench {
		m, c := loadertest.NewMachine(t)
		g, err := grub.New(m, c)
		if err != nil {
			t.Fatal(err)
		}
		path := m.Path(c.Boot.Grubenv)
		return &loadertest.Bench{
			Loader: g, Path: path, InPlace: true,
			Damages: map[string]string{
				"empty": "", "zeros": string(make([]byte, 1024)), "short": "# GRUB Environment Block\n##",
				"first line": "# GRUB environment block\n" + strings.Repeat("#", 999),
			},
			Boot: func(loads map[string]bool) loadertest.Started {
				env, err := os.ReadFile(path)
				if err != nil {
					env = nil
				}
				choice := grubtest.Choose(grubtest.Start{Slots: c.Names(), Env: env, Loads: loads})
				if env != nil {
					if err := os.WriteFile(path, choice.Env, 0o644); err != nil {
						t.Error(err)
					}
				}
				return loadertest.Started{Slot: choice.Slot, Trial: choice.Trial, FellBack: choice.FellBack}
			},
		}
	})
}
