package client

import (
	"strings"
	"testing"

	"golang.org/x/net/http/httpguts"
)

// TestHeaderBytes holds every byte of names and values against package httpguts.
func TestHeaderBytes(t *testing.T) {
	sameHeader(t, "")
	for c := range 256 {
		for _, s := range []string{string([]byte{byte(c)}), string([]byte{'a', byte(c), 'b'})} {
			sameHeader(t, s)
		}
	}
}

// sameHeader holds what a text is good for against package httpguts.
func sameHeader(t *testing.T, s string) {
	t.Helper()
	if got, want := validHeaderName(s), httpguts.ValidHeaderFieldName(s); got != want {
		t.Errorf("name %q: %v, want %v", s, got, want)
	}
	if got, want := validHeaderValue(s), httpguts.ValidHeaderFieldValue(s); got != want {
		t.Errorf("value %q: %v, want %v", s, got, want)
	}
}

func FuzzParseHeaders(f *testing.F) {
	for _, s := range []string{"X-Token: secret\n", "# a\n\nA: b\nA: c", ":", "Range: bytes=0-1", "A:\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sameHeader(t, string(b))
		h, err := parseHeaders(b)
		if err != nil {
			return
		}
		var text strings.Builder
		if err := h.Write(&text); err != nil || strings.Count(text.String(), "\r\n") != strings.Count(text.String(), "\n") {
			t.Errorf("%q: %q, %v", b, text.String(), err)
		}
		if h.Get("Range") != "" || h.Get("Host") != "" {
			t.Errorf("%q sets what is ours", b)
		}
	})
}
