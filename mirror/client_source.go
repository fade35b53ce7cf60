package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// source is where one mirror's files lie. Its errors are of type *failure unless
// they are passing ones.
type source interface {
	open(ctx context.Context, q request) (*answer, error)
	// String is the mirror as messages name it: without password or query.
	String() string
}

// request asks for bytes of one file.
type request struct {
	name   string
	offset int64
	length int64 // negative: all of the file, whose size is not known
	limit  int64 // with a negative length: the most bytes that the file may have
	fresh  bool  // caches on the way are to be bypassed
}

// answer is what a source sends.
type answer struct {
	body   io.ReadCloser
	length int64 // bytes that body has from the place asked for on; -1: unknown
	skip   int64 // bytes that body has before it
	whole  bool  // a range was asked for and the source ignored it
	total  int64 // bytes of the whole file, as the source says; -1: it does not
}

// parseSource takes a mirror as users write it.
func parseSource(s string, w *web) (source, error) {
	if s == "" {
		return nil, errors.New("empty URL or path")
	}
	if !strings.Contains(s, "://") {
		return folderSource(s), nil
	}
	u, err := url.Parse(s)
	if err != nil {
		// The error may quote any part of the URL, a password included.
		return nil, errors.New("not a valid URL")
	}
	switch u.Scheme {
	case "http", "https":
		if u.Hostname() == "" {
			return nil, fmt.Errorf("%s: no host", u.Redacted())
		}
		return &webSource{web: w, base: u}, nil
	case "file":
		if u.Host != "" && u.Host != "localhost" || u.Path == "" {
			return nil, fmt.Errorf("%s: not of the form file:///PATH", u.Redacted())
		}
		return folderSource(filepath.FromSlash(u.Path)), nil
	}
	return nil, fmt.Errorf("%s: scheme %q is not http, https or file", u.Redacted(), u.Scheme)
}

// folderSource is a mirror in a local folder.
type folderSource string

func (d folderSource) String() string { return string(d) }

func (d folderSource) open(_ context.Context, q request) (*answer, error) {
	path := filepath.FromSlash(q.name)
	if !filepath.IsLocal(path) {
		return nil, &failure{kind: refusedFailure, err: errors.New("not a name within a mirror")}
	}
	path = filepath.Join(string(d), path)
	info, err := os.Stat(path) // before it is opened: opening a fifo would wait for a writer
	if err != nil {
		return nil, d.failure(err)
	}
	if !info.Mode().IsRegular() {
		return nil, corruptf("is no regular file")
	}
	if short := q.offset + max(q.length, 0); info.Size() < short {
		return nil, corruptf("has %d bytes, at least %d are expected", info.Size(), short)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, d.failure(err)
	}
	length := q.length
	if length < 0 {
		length = info.Size()
	}
	body := struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, q.offset, length), f}
	return &answer{body: body, length: length, total: info.Size()}, nil
}

// failure tells a file that is not there from a mirror that is not there. Neither
// gets better by waiting.
func (d folderSource) failure(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err // its path is in the message already
	}
	if _, gone := os.Stat(string(d)); gone == nil && errors.Is(err, fs.ErrNotExist) {
		return &failure{kind: missingFailure, err: err}
	}
	return &failure{kind: refusedFailure, err: err}
}
