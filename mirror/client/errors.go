package client

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"deltaup/chunkstore"
	"deltaup/mirror"
)

// failureKind says what a failed request means for the next.
type failureKind int

const (
	passingFailure failureKind = iota // may go well in a moment
	refusedFailure                    // will not, at this mirror
	missingFailure                    // this mirror has no such file
	// it keeps the file back, or has none: servers that hide their listing say the same of both
	deniedFailure
	wholeFailure   // it sends only whole files, and a part was wanted
	corruptFailure // what came is not what it should be; a cache may be to blame
)

var errEndedEarly = errors.New("the answer ended too early")

// failure is what went wrong with one request to one mirror.
type failure struct {
	kind  failureKind
	err   error
	after time.Duration // the mirror asks to be left alone for so long
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func corruptf(format string, args ...any) error {
	return &failure{kind: corruptFailure, err: fmt.Errorf(format, args...)}
}

// asFailure gives err as a failure; all that is not one is passing.
func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errEndedEarly
	}
	return &failure{kind: passingFailure, err: err}
}

// fileError is what a caller gets: one line that names the file and what each mirror said.
type fileError struct {
	name string
	is   []error // sentinels; the first is in the text
	said []saying
}

// saying is what a mirror said; the empty name is all of them.
type saying struct {
	mirror string
	err    error
}

// newFileError decides what the failures of all mirrors mean together. A mirror that says that it
// lacks the file is believed beside others that refuse to say anything, but not beside one that may
// say otherwise in a moment.
func newFileError(name string, said []saying) *fileError {
	e := &fileError{name: name, said: said}
	seen := map[failureKind]int{}
	pages, denials := 0, 0
	for _, s := range said {
		seen[asFailure(s.err).kind]++
		if errors.Is(s.err, errPage) {
			pages++
		}
		if errors.Is(s.err, errDenied) {
			denials++
		}
	}
	switch {
	case seen[wholeFailure] > 0:
		e.is = []error{ErrWholeFiles}
	case pages > 0 && seen[corruptFailure] == pages:
		e.is = []error{ErrPage, mirror.ErrDamaged, chunkstore.ErrCorrupt}
	case seen[corruptFailure] > 0:
		e.is = []error{mirror.ErrDamaged, chunkstore.ErrCorrupt}
	case seen[missingFailure] > 0 && seen[passingFailure] == 0:
		e.is = []error{ErrMissing}
	case seen[missingFailure] > 0:
		e.is = []error{ErrUnreachable, ErrLacking}
	case denials > 0 && denials == len(said):
		e.is = []error{ErrDenied, ErrUnreachable}
	default:
		e.is = []error{ErrUnreachable}
	}
	return e
}

func (e *fileError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v", e.name, e.is[0])
	for i, s := range e.said {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		b.WriteString(sep)
		if s.mirror != "" {
			b.WriteString(s.mirror + ": ")
		}
		fmt.Fprint(&b, s.err)
	}
	return b.String()
}

func (e *fileError) Unwrap() []error {
	errs := e.is
	for _, s := range e.said {
		errs = append(errs[:len(errs):len(errs)], s.err)
	}
	return errs
}
