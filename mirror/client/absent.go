package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"deltaup/mirror"
)

// errDenied marks an answer that may be due to lacking credentials.
var errDenied = errors.New("denied")

// denied reads as error alone.
type denied struct{ error }

func (e *denied) Is(target error) bool { return target == errDenied }
func (e *denied) Unwrap() error        { return e.error }

// FetchOptional is FetchLatest of a file that need not be there. Whatever a server answers for what
// it lacks is ErrMissing: 404, 410, 403, 400, a web page. One mirror that says so is enough: for
// others that do not answer there is no wait.
func (c *Client) FetchOptional(ctx context.Context, name string, limit int64,
	parse func([]byte) error) error {
	t := c.newTries(ctx, name)
	t.optional = true
	return c.fetchWhole(t, limit, true, parse)
}

// absent tells whether what a mirror said of a file that need not be there means that it has none.
func absent(err error) bool {
	var f *failure
	if !errors.As(err, &f) {
		return false
	}
	return f.kind == missingFailure || f.kind == deniedFailure || errors.Is(err, errPage)
}

// absentSomewhere tells whether one mirror has no such file and none has sent another.
func (t *tries) absentSomewhere() bool {
	some := false
	for _, trial := range t.sites {
		switch {
		case trial.err == nil:
		case absent(trial.err):
			some = true
		case asFailure(trial.err).kind == corruptFailure:
			return false
		}
	}
	return some
}

// settle decides what a denied answer of each mirror means, for the error about a file.
func (t *tries) settle() {
	for _, s := range t.c.sites {
		trial := t.at(s)
		if f := asFailure(trial.err); trial.err != nil && f.kind == deniedFailure &&
			t.c.admits(t.ctx, s) {
			trial.err = &failure{kind: missingFailure, err: f.err}
		}
	}
}

// admits tells whether a mirror sends us anything at all at this moment: then what it denies it
// does not have. It is asked for a byte of what it has sent before, or else of the files by which a
// mirror is known.
//
// What it answers well counts for a while, for the next file that it denies.
func (c *Client) admits(ctx context.Context, s *site) bool {
	c.mu.Lock()
	names, admitted := []string{s.proof}, s.admitted
	c.mu.Unlock()
	if !admitted.IsZero() && time.Since(admitted) < admittedFor {
		return true
	}
	if names[0] == "" {
		names = []string{mirror.TimestampPath, mirror.PointerPath("stable")}
	}
	for _, name := range names {
		a, err := c.open(ctx, s, request{name: name, length: 1, fresh: true}, false)
		if err == nil {
			_, _ = io.Copy(io.Discard, a) // so that the connection stays
			_ = a.Close()
			c.mu.Lock()
			s.admitted = time.Now()
			c.mu.Unlock()
			return true
		}
	}
	return false
}

// noMirror is the error about a pointer that is missing, err: is there a mirror at all?
func (c *Client) noMirror(ctx context.Context, channel string, err error) error {
	if !errors.Is(err, ErrMissing) {
		return err
	}
	signed := c.FetchLatest(ctx, mirror.TimestampPath, mirror.MaxPointerSize,
		func([]byte) error { return nil })
	if !errors.Is(signed, ErrMissing) || ctx.Err() != nil {
		return err
	}
	var at []string
	for _, s := range c.sites {
		at = append(at, s.String())
	}
	return mirror.Nowhere(fmt.Sprintf("%v at %s: neither %s nor %s is there", mirror.ErrNowhere,
		strings.Join(at, ", nor at "), mirror.TimestampPath, mirror.PointerPath(channel)), err)
}

// noFolders is the error when the folders of all mirrors are not there; nil when that is not so.
func (c *Client) noFolders(said []saying) error {
	if len(said) == 0 {
		return nil
	}
	text := mirror.ErrNowhere.Error()
	for i, s := range said {
		if !errors.Is(s.err, errNoFolder) {
			return nil
		}
		if i > 0 {
			text += ", nor"
		}
		text += fmt.Sprintf(" at %s: %v%s", s.mirror, errNoFolder, folderSource(s.mirror).hint())
	}
	return mirror.Nowhere(text, fs.ErrNotExist)
}
