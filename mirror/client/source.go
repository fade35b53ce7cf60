package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
)

// source is where one mirror's files lie. Its errors are of type *failure unless they are passing
// ones.
type source interface {
	open(ctx context.Context, q request) (*answer, error)
	// slow tells whether it has been found to send less than it has to.
	slow() bool
	// String is the mirror as messages name it: an address without what may be secret.
	String() string
}

// request asks for bytes of one file.
type request struct {
	name   string
	offset int64
	length int64 // negative: all of the file, whose size is not known
	limit  int64 // with a negative length: the most bytes that the file may have
	fresh  bool  // caches on the way are to be bypassed
	part   bool  // an answer with more than the range is of no use
	aside  bool  // it takes no time that others would have the line for
}

// answer is what a source sends.
type answer struct {
	body   io.ReadCloser
	length int64 // bytes that body has from the place asked for on; -1: unknown
	skip   int64 // bytes that body has before it
	whole  bool  // a range was asked for and the source ignored it
	ranges bool  // the source sends ranges, or says so
	total  int64 // bytes of the whole file, as the source says; -1: it does not
}

// shown is what messages call an address: without password and query, and without a user that has
// no password. Each may be a token. In an address without a host they may lie in the path.
func shown(u *url.URL) string {
	v := *u
	v.RawQuery, v.ForceQuery, v.Fragment = "", false, ""
	if at := strings.LastIndex(v.Path, "@"); v.Host == "" && at >= 0 {
		v.Path, v.RawPath = v.Path[at+1:], ""
	}
	if password, _ := v.User.Password(); v.User != nil && password == "" {
		v.User = url.User("xxxxx")
	}
	return v.Redacted()
}

// parseSource takes a mirror as users write it; web makes one at an address.
func parseSource(s string, web func(*url.URL) (*webSource, error)) (source, error) {
	if s == "" {
		return nil, errors.New("empty URL or path")
	}
	if !strings.Contains(s, "://") {
		return parseFolder(s)
	}
	u, err := url.Parse(s)
	if err != nil {
		// The error may quote any part of the URL, a password included.
		return nil, errors.New("not a valid URL")
	}
	switch u.Scheme {
	case "http", "https":
		if u.Hostname() == "" {
			return nil, fmt.Errorf("%s: no host", shown(u))
		}
		w, err := web(u)
		if err != nil {
			return nil, err
		}
		return w, nil
	case "file":
		if u.Host != "" && u.Host != "localhost" || u.Path == "" {
			return nil, fmt.Errorf("%s: not of the form file:///PATH", shown(u))
		}
		return folderSource(filepath.FromSlash(u.Path)), nil
	}
	return nil, fmt.Errorf("%s: scheme %q is not http, https or file", shown(u), u.Scheme)
}
