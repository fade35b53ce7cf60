package trust_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"deltaup/mirror"
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
	client, err := mirror.NewClient([]string{srv.URL}, mirror.ClientOptions{})
	s.must(err)
	o.Client = client
	if _, err := trust.Refresh(ctx, o); !errors.Is(err, context.Canceled) || errors.Is(err, trust.ErrUnsigned) {
		t.Error(err)
	}
}
