package trust_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"deltaup/mirror"
	"deltaup/mirror/client"
	"deltaup/trust"
)

// TestCancelledBeforePointer demands that a target that is interrupted while it looks for any
// mirror does not call the mirror unsigned.
func TestCancelledBeforePointer(t *testing.T) {
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/"+mirror.PointerPath("stable") {
			cancel()
		}
		http.NotFound(w, r)
	}))
	defer srv.Close()
	o := s.newTarget().o
	reader, err := client.New([]string{srv.URL}, client.Options{})
	s.must(err)
	o.Client = reader
	if _, err := trust.Refresh(ctx, o); !errors.Is(err, context.Canceled) || errors.Is(err, trust.ErrUnsigned) {
		t.Error(err)
	}
}

// TestSilentPointer: a server that lacks the timestamp and does not answer for the pointer has not
// been found to be an unsigned mirror.
func TestSilentPointer(t *testing.T) {
	s := newSite(t, nil)
	for _, status := range []int{http.StatusUnauthorized, http.StatusBadGateway} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/"+mirror.PointerPath("stable") {
				w.WriteHeader(status)
				return
			}
			http.NotFound(w, r)
		}))
		defer srv.Close()
		o := s.newTarget().o
		reader, err := client.New([]string{srv.URL}, client.Options{Retries: -1})
		s.must(err)
		o.Client = reader
		_, err = trust.Refresh(t.Context(), o)
		if !errors.Is(err, client.ErrUnreachable) || errors.Is(err, trust.ErrUnsigned) {
			t.Errorf("%d: %v", status, err)
		}
	}
}
