// Package serve is a web server for one mirror: a [Handler], a log of requests, and [Until], which
// answers on a listener until it is told to end.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/mirror/internal/inside"
)

// Timeouts of Until. None limits how long a download may take.
const (
	headerTimeout = 30 * time.Second // for a request's header
	idleTimeout   = 2 * time.Minute  // between two requests of a connection
	// stallTimeout is for one write of at most 32 KiB into the socket's buffer. A line of
	// 1 KB/s takes a write off within 32 s.
	stallTimeout = 5 * time.Minute
	// shutdownTimeout is for requests under way when serving is to end.
	shutdownTimeout = 10 * time.Second
)

// Cache-Control of files that never change under their name and of those that may.
const (
	cacheForever = "public, max-age=31536000, immutable"
	cacheNever   = "no-cache"
)

// Handler serves the mirror in dir read-only, with ranges and cache headers as doc/mirror.md
// describes them. Hidden files, tmp/ and folder listings are never served, nor is
// anything outside of dir, not even through a link.
//
// It takes a folder, not a [mirror.Files]: it needs the times of files for Last-Modified, and it
// follows links only as long as they stay within the folder. A mirror that lies elsewhere has a
// server of its own.
func Handler(dir string) http.Handler { return &handler{dir} }

type handler struct{ dir string }

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	name, ok := servedName(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	f, info, err := openServed(h.dir, name)
	if err != nil {
		serveError(w, r, err)
		return
	}
	defer f.Close() // only read
	head := w.Header()
	head.Set("Content-Type", "application/octet-stream")
	head.Set("Cache-Control", cacheControl(name))
	if tag := entityTag(name); tag != "" {
		head.Set("ETag", tag)
	}
	http.ServeContent(&patientWriter{w, http.NewResponseController(w)}, r, "", info.ModTime(), f)
}

// openServed opens a file of a mirror. A link is no way to what is hidden: the name that it leads
// to counts.
func openServed(dir, name string) (*os.File, os.FileInfo, error) {
	base, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, nil, err
	}
	path, err := filepath.EvalSymlinks(filepath.Join(base, filepath.FromSlash(name)))
	if err != nil {
		return nil, nil, err
	}
	below, err := filepath.Rel(base, path)
	if err != nil {
		return nil, nil, err
	}
	if _, ok := servedName("/" + filepath.ToSlash(below)); !ok {
		return nil, nil, fs.ErrNotExist
	}
	return inside.Open(base, below)
}

// serveError tells a client no more than whether the file exists.
func serveError(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, fs.ErrPermission) {
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	http.NotFound(w, r)
}

// servedName turns a URL's path into a file's name below the mirror's root; false for what is never
// served.
func servedName(urlPath string) (string, bool) {
	name, ok := strings.CutPrefix(urlPath, "/")
	if !ok || !mirror.ValidPath(name) {
		return "", false
	}
	return name, true
}

// cacheControl lets what never changes be kept forever.
func cacheControl(name string) string {
	if mirror.Immutable(name) {
		return cacheForever
	}
	return cacheNever
}

// entityTag is a file's hash where its name tells it, so that it is the same on all mirrors.
func entityTag(name string) string {
	hash, _, _ := strings.Cut(path.Base(name), ".")
	if _, err := chunkstore.ParseID(hash); err != nil {
		return ""
	}
	return `"` + hash + `"`
}

// patientWriter gives each write its own time, so that slow clients are served to the
// end and those that stopped reading are not waited for.
type patientWriter struct {
	http.ResponseWriter
	c *http.ResponseController
}

func (w *patientWriter) Write(p []byte) (int, error) {
	// A writer that has no deadlines (a test's recorder) does without.
	if err := w.c.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil &&
		!errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}

// LogRequests wraps h so that each request leaves one line on w when it has ended:
// time, client, request, status, body bytes, duration.
func LogRequests(h http.Handler, w io.Writer) http.Handler {
	var mu sync.Mutex
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		start := time.Now()
		counted := &countingWriter{ResponseWriter: rw, status: http.StatusOK}
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(w, "%s %s %s %q %s %d %d %.3fs\n", start.UTC().Format(time.RFC3339),
				r.RemoteAddr, r.Method, r.URL.Path, logRange(r), counted.status, counted.bytes,
				time.Since(start).Seconds())
		}()
		h.ServeHTTP(counted, r)
	})
}

// logRange is the Range header as one word; it is the client's text and not to be trusted.
func logRange(r *http.Request) string {
	v := r.Header.Get("Range")
	if v == "" {
		return "-"
	}
	return fmt.Sprintf("%.60q", v)
}

type countingWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *countingWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Until answers requests on l with h until ctx ends; then it waits a little for requests under way.
// It closes l. Clients that stop reading are cut off, slow ones are not.
func Until(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           renewDeadline(h),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	// ctx is over: what is under way gets its own time.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := srv.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	<-failed
	return err
}

// renewDeadline lifts a deadline that the connection's last request has left. A body, which no
// request has to have, is not waited for.
func renewDeadline(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		err := c.SetWriteDeadline(time.Now().Add(stallTimeout))
		if err == nil && r.ContentLength != 0 {
			err = c.SetReadDeadline(time.Now())
		}
		if err != nil {
			return // the connection is gone
		}
		h.ServeHTTP(w, r)
	})
}
