package mirror

import (
	"context"
	"io"
	"net"
	"net/http"
)

// Handler serves the mirror in dir read-only, with ranges and cache headers as doc/mirror.md
// describes them. Hidden files, tmp/ and folder listings are never served.
func Handler(dir string) http.Handler { panic("unbuilt") }

// LogRequests wraps h so that each request leaves one line on w.
func LogRequests(h http.Handler, w io.Writer) http.Handler { panic("unbuilt") }

// Serve answers requests on l with h until ctx ends; then it waits a little for requests under way.
// It closes l. Clients that stop reading are cut off, slow ones are not.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error { panic("unbuilt") }
