package mirror

import "errors"

var (
	// ErrNowhere is wrapped when an address has nothing of a mirror, or a mirror's folder is not
	// there.
	ErrNowhere = errors.New("there is no mirror")
	// ErrNoMirror is wrapped when other things than a mirror are in its place.
	ErrNoMirror = errors.New("no mirror")
	// ErrDamaged is wrapped, together with chunkstore.ErrCorrupt, when a file of a mirror is not
	// what its hash, size or format says.
	ErrDamaged = errors.New("damaged on the mirror")
	// ErrOtherRelease is wrapped beside ErrDamaged when a well-formed release file lies in the
	// place of another.
	ErrOtherRelease = errors.New("the file of another release")
	// ErrOtherSet is wrapped beside ErrDamaged when a well-formed patch set lies in the place of
	// another.
	ErrOtherSet = errors.New("the patch set of another step")
	// ErrBusy is wrapped when another publisher works on the mirror and waiting was not wanted.
	ErrBusy = errors.New("another publisher is at work")
)

// Nowhere is an error that reads as text alone and wraps ErrNowhere and cause.
func Nowhere(text string, cause error) error { return &noMirrorError{text, cause} }

// noMirrorError reads as text alone.
type noMirrorError struct {
	text  string
	cause error
}

func (e *noMirrorError) Error() string { return e.text }

func (e *noMirrorError) Unwrap() []error { return []error{ErrNowhere, e.cause} }
