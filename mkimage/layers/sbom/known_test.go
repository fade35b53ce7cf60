package sbom

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"spdxVersion": "SPDX-2.3"}`))
	f.Add([]byte(`{"bomFormat": "CycloneDX"}`))
	f.Add([]byte(`{"bomFormat": [[[`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := check(bytes.NewReader(text)); err != nil && !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
	})
}
