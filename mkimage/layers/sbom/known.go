package sbom

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"deltaup/internal/plainfile"
)

// ErrUnknown is wrapped when a file is no bill that is known.
var ErrUnknown = errors.New("neither SPDX nor CycloneDX in JSON")

const billMax = 256 << 20 // bytes

// Check tells whether a file is a bill in JSON, of either standard, whoever wrote it. Errors name
// the file, and wrap ErrUnknown or are the system's.
func Check(name string) error {
	f, err := plainfile.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() // it is only read
	if err := check(f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// check is Check for a stream.
func check(r io.Reader) error {
	var bill struct {
		SPDX   string `json:"spdxVersion"`
		Format string `json:"bomFormat"`
	}
	if err := json.NewDecoder(io.LimitReader(r, billMax)).Decode(&bill); err != nil {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	if bill.SPDX == "" && bill.Format != "CycloneDX" {
		return ErrUnknown
	}
	return nil
}
