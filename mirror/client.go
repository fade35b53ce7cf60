package mirror

import (
	"context"
	"errors"
	"io"
	"time"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

var (
	// ErrUnreachable is wrapped when no mirror answered usefully, after all retries.
	ErrUnreachable = errors.New("unreachable")
	// ErrMissing is wrapped when every mirror says that it has no such file.
	ErrMissing = errors.New("missing on the mirror")
	// ErrDamaged is wrapped, together with [chunkstore.ErrCorrupt], when what the
	// mirrors send is not what its hash, size or format says.
	ErrDamaged = errors.New("damaged on the mirror")
	// ErrBudget is wrapped when going on would exceed [ClientOptions.MaxBytes].
	ErrBudget = errors.New("byte budget exhausted")
)

// ClientOptions tune a [Client]; the zero value suits an unattended target.
type ClientOptions struct {
	Timeout    time.Duration // longest wait for one further byte (or the answer's header); 0: 60 s
	Retries    int           // pauses and new rounds over all mirrors without a byte of progress; 0: 5; negative: none
	RetryDelay time.Duration // the first pause, about doubled at each further one; 0: 500 ms
	RateLimit  int64         // body bytes per second over all requests together; 0: no limit
	MaxBytes   int64         // body bytes that may be received in the client's life; 0: no limit
	UserAgent  string        // "": deltaup
	Log        func(Event)   // what went wrong and was worked around; never called twice at once; may be nil
}

// Event tells of a failure that the client works around.
type Event struct {
	Mirror string        // where it happened, without password
	Object string        // the file's name on the mirror
	Err    error         // what happened
	Pause  time.Duration // before the next try
	Text   string        // all of that as one line for people
}

// Stats counts what a client has done so far.
type Stats struct {
	Requests  int   // sent, retries included
	BytesBody int64 // of answers' bodies, those read and dropped included
	Retries   int   // requests that went on after a failed one
}

// Client reads a mirror, or several that hold the same files: folders and http(s)
// URLs. All methods may be used by several goroutines at once.
type Client struct{}

// NewClient makes a client of one or more mirrors, each an http:// or https:// URL,
// a file:// URL, or a path. The first is preferred; the others take over for each
// request that it fails.
func NewClient(mirrors []string, o ClientOptions) (*Client, error) { panic("unbuilt") }

// Stats tells what the client has done so far.
func (c *Client) Stats() Stats { panic("unbuilt") }

// ReadRange streams length bytes of the named file from offset on: exactly these or
// an error. A broken answer is taken up again at the same byte, there or on another
// mirror. The bytes are not verified: see [Client.Blame].
func (c *Client) ReadRange(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	panic("unbuilt")
}

// Blame tells the client that the bytes which r (from ReadRange) yielded last are
// corrupt. When it returns nil, reading them again is worthwhile: another mirror is
// preferred for that file from now on, and caches are bypassed. Otherwise all
// mirrors have had their chances and the error, to be returned, names mirror and
// file and wraps cause, ErrDamaged and chunkstore.ErrCorrupt.
func (c *Client) Blame(r io.Reader, cause error) error { panic("unbuilt") }

// Fetch reads a whole file of at most limit bytes into memory and verifies it.
func (c *Client) Fetch(ctx context.Context, name string, o Object, limit int64) ([]byte, error) {
	panic("unbuilt")
}

// Pointer reads a channel's pointer, past all caches.
func (c *Client) Pointer(ctx context.Context, channel string) (*Pointer, error) { panic("unbuilt") }

// Release reads a version's release file, verified against want unless that is nil.
func (c *Client) Release(ctx context.Context, version string, want *Object) (*Release, error) {
	panic("unbuilt")
}

// Recipe reads, verifies, decompresses and parses a recipe.
func (c *Client) Recipe(ctx context.Context, o RecipeObject) (*mkimage.Recipe, error) { panic("unbuilt") }

// Index reads, verifies and parses a release's chunk index.
func (c *Client) Index(ctx context.Context, o Object) (*chunkstore.Index, error) { panic("unbuilt") }
