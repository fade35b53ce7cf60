package apk

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
)

var errHash = errors.New("no hash")

// parseHash reads a hash of an index of the second generation: Q in base64 or X in hexadecimal, and
// 1 for SHA-1 or 2 for SHA-256.
func parseHash(s string) (sum []byte, err error) {
	if len(s) < 2 {
		return nil, errHash
	}
	size := map[byte]int{'1': 20, '2': 32}[s[1]]
	switch s[0] {
	case 'Q':
		sum, err = base64.StdEncoding.DecodeString(s[2:])
	case 'X':
		sum, err = hex.DecodeString(s[2:])
	default:
		return nil, errHash
	}
	if err != nil || size == 0 || len(sum) != size {
		return nil, errHash
	}
	return sum, nil
}
