package mirrorstore

import (
	"testing"

	"deltaup/mirror"
)

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) mirror.Store { return &Memory{} })
}
