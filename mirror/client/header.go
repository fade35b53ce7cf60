package client

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
)

// ownHeaders are those that a client sets itself, or that say how a connection is used.
var ownHeaders = []string{
	"Host",
	"Range",
	"If-Range",
	"Accept-Encoding",
	"Content-Length",
	"Transfer-Encoding",
	"Connection",
	"Upgrade",
	"Te",
	"Trailer",
	"Expect",
}

// parseHeaders reads lines of NAME: VALUE. Its errors name a line and do not quote it.
func parseHeaders(b []byte) (http.Header, error) {
	h := http.Header{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if !ok || !validHeaderName(name) || !validHeaderValue(value) {
			return nil, fmt.Errorf("line %d: wanted is NAME: VALUE", n)
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		for _, own := range ownHeaders {
			if name == own {
				return nil, fmt.Errorf("line %d: %s cannot be set", n, own)
			}
		}
		h.Add(name, value)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return h, nil
}

// tokenMarks are what a token of RFC 9110 may have beside letters and digits.
const tokenMarks = "!#$%&'*+-.^_`|~"

// validHeaderName tells whether a header may have a name: whether it is a token of RFC 9110.
func validHeaderName(s string) bool {
	for _, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if !letter && !digit && strings.IndexByte(tokenMarks, c) < 0 {
			return false
		}
	}
	return s != ""
}

// validHeaderValue tells whether a header may have a value: whether it is free of control
// characters. Blanks around it are left to the caller.
func validHeaderValue(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
