package layers

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// decodeDefinition decodes the text of a file into d, whose other values stay as they are. Errors
// begin with file and line, and name the key in words of TOML; of several unknown keys the first.
func decodeDefinition(name string, text []byte, d *Definition) error {
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(d)
	if err == nil {
		return nil
	}
	var wrong *toml.DecodeError
	said := ""
	var unknown *toml.StrictMissingError
	switch {
	case errors.As(err, &unknown) && len(unknown.Errors) > 0:
		wrong, said = &unknown.Errors[0], "unknown key"
	case errors.As(err, &wrong):
		said = strings.TrimPrefix(wrong.Error(), "toml: ")
	default:
		return fmt.Errorf("%s: %w: %w", name, ErrDefinition, err)
	}
	// names of Go mean nothing to the author of the file
	if what, _, ok := strings.Cut(said, " into struct field "); ok {
		said = strings.Replace(what, "cannot decode ", "does not take a ", 1)
	}
	if key := strings.Join(wrong.Key(), "."); key != "" {
		said = key + ": " + said
	}
	line, _ := wrong.Position()
	return fmt.Errorf("%s:%d: %w: %s", name, line, ErrDefinition, said)
}
