// Package apply carries an update out on a target. [Prepare] fetches a release's metadata, looks at
// the seeds and quotes. [Update.Run] fetches what is missing, rebuilds the image into the slot,
// reads it back and only then writes its superblock. Both take the steps in the order of
// doc/pull.md.
//
// Everything fetched goes to the state folder first (packages state and cache), where the next run
// finds it: a run that is killed at any moment costs no byte twice. Package slotwriter puts the
// image into the slot.
//
// # Routes
//
// A route is a way to get the image and to put it into the slot: by patches, by chunks, by stored
// blocks, or whole. Each has a file route_NAME.go, which implements the interface route, and a
// place in the table that newRoutes makes. A route makes an offer, and package delta chooses among
// the offers. When something is wrong with a route, the route closes, and another one goes on with
// what was fetched.
//
// A route that mixes others (one piece by patches, another as a stored block) holds the routes that
// it mixes. Its offer has the pieces of all of them, and its verify calls theirs. Its write builds
// the image from a source that asks each of them in turn, as withStored asks the seeds first.
//
// Routes that rebuild the image make blocks of it while the rest is fetched (make.go): what has
// come is patched and compressed on all processors, and waits in the state folder (package
// madeblocks) until everything is there. The rebuild then copies. Such a route implements maker and
// says in its offer that it is Making.
//
// A route may write while its last bytes are still fetched. Its offer says for how long (Beside),
// writeBeside starts it, and its write waits for bytes with cache.Await, as that of route_blocks.go
// does. What both save is reckoned in package delta.
package apply

import (
	"errors"
	"time"

	"deltaup/apply/internal/nospace"
	"deltaup/apply/slotwriter"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mirror/client"
	"deltaup/trust"
)

var (
	// ErrNoSpace is wrapped when the slot or the state folder's file system is too small.
	ErrNoSpace = nospace.Err
	// ErrVerify is wrapped when the slot reads back other bytes than were written.
	ErrVerify = slotwriter.ErrVerify
	// ErrSeed is wrapped when a seed gives other bytes than it gave when it was read in this
	// update.
	ErrSeed = errors.New("the seed is not what it was when it was read")
	// ErrIncompatible is wrapped when the release is made for other machines.
	ErrIncompatible = errors.New("the release is for other machines")
	// ErrSlotIsSeed is wrapped when a seed is the slot itself.
	ErrSlotIsSeed = errors.New("seed and slot are the same")
	// ErrNoArtifact is wrapped when the release lacks an artifact that was asked for.
	ErrNoArtifact = errors.New("the release has no such artifact")
)

// SizedStorage is the storage of a slot, with its size; slotboot.File is one.
type SizedStorage interface {
	slotwriter.Storage
	// Capacity is how many bytes fit: a device's size; for a file, what it has plus what its file
	// system has free.
	Capacity() (int64, error)
	// Reserve claims the room for size bytes where the slot can; what it holds does not change. It
	// wraps syscall.ENOSPC.
	Reserve(size int64) error
}

// Request says what to pull and where to.
type Request struct {
	Client *client.Client
	// what the publisher has signed, see trust.Refresh; nil: what the mirror says is believed
	Trust      *trust.Repository
	Channel    string       // whose newest release; "" with Version
	Version    string       // a certain release; "": the channel's newest
	Compatible string       // what this machine is; "": not checked
	Seeds      []string     // squashfs images and other files or block devices, only ever read
	Early      *Early       // what LookEarly has found out about them; may be nil
	Copy       string       // of the wanted image, perhaps damaged, only ever read; "": none
	Slot       SizedStorage // nil: only Outputs are wanted, unless PlanOnly is set
	// the image is planned for although there is no Slot, and Run is an error
	PlanOnly bool
	Outputs  map[string]string // raw artifacts to write: name -> file
	StateDir string            // holds a folder for each slot, and what they share
	// as far as the line is known; zero fields are measured with the metadata, see doc/pull.md
	Line      delta.Line
	RateLimit float64 // bytes per second that the client keeps to; 0: none
	// as far as this machine is known; zero fields are measured, or taken from delta.DefaultCPU
	CPU      delta.CPU
	Optimize delta.Optimize // "": for time
	Route    delta.Route    // the only one to be taken, one of Routes; "": the best
	Parallel int            // requests under way at once; 0: delta.DefaultParallel
	Memory   int64          // bytes that the process may take; 0: what it aims at by itself
	// Limit, unless nil, is told how many bytes the process will take, before it takes them. A
	// library must not decide that for the rest of the process.
	Limit  func(bytes int64)
	Events func(Event) // may be nil; called by one goroutine at a time

	// ReadBack, unless nil, sees the image's bytes as the slot gives them, in order; from offset 0
	// they begin anew.
	ReadBack func(p []byte, off int64)

	// Accept, unless nil, sees the release before more than its file is fetched: it says which
	// Outputs are wanted of it, in place of those above, and its error ends Prepare.
	Accept func(*mirror.Release) (outputs map[string]string, err error)
}

// Stage is a part of an update.
type Stage string

// The stages, in order.
const (
	StageSeed    Stage = "seed"    // seeds are read
	StageFetch   Stage = "fetch"   // bytes come from the mirror
	StageMake    Stage = "make"    // blocks of the image are made beside that
	StageRebuild Stage = "rebuild" // the image is written to the slot
	StageVerify  Stage = "verify"  // the slot is read back
)

// Event is a step of progress or, with Warning set, something worth knowing that stops nothing.
type Event struct {
	Stage   Stage
	Of      string // the seed or the artifact that the stage is about; "" while it is about all
	Done    int64  // bytes
	Total   int64
	Warning string
}

// Quote is what an update will take.
type Quote struct {
	Version      string        `json:"version"`
	Route        string        `json:"route"`          // a delta.Route, or "none" without an image
	Bytes        int64         `json:"bytes"`          // still to fetch, exactly
	Requests     int           `json:"requests"`       // that this takes when nothing breaks
	Time         time.Duration `json:"-"`              // estimated, from now to the end
	MetaBytes    int64         `json:"metadata_bytes"` // already fetched for this quote
	MetaRequests int           `json:"metadata_requests"`
	ImageSize    int64         `json:"image_size"`
	Sets         int           `json:"patch_sets"`  // that the route patch goes through
	ChunksHave   int           `json:"chunks_have"` // needed chunks in the seeds
	ChunksCached int           `json:"chunks_cached"`
	ChunksFetch  int           `json:"chunks_fetch"`
	Current      bool          `json:"current"` // the slot already holds the image
	// WholeFiles: the mirrors send no parts of files, and the plan reckons with that.
	WholeFiles bool `json:"whole_files,omitempty"`

	// What the publisher has signed beside the release's files, any text: for whoever boots the
	// release, and for people to read.
	KernelArguments string `json:"kernel_arguments,omitempty"`
	Notes           string `json:"notes,omitempty"`

	Alternatives []delta.Alternative `json:"-"` // all routes, with why each but one was not taken
}

// Result is what an update took, metadata included.
type Result struct {
	Version          string        `json:"version"`
	Route            string        `json:"route"`
	BytesFetched     int64         `json:"bytes_fetched"`
	Requests         int           `json:"requests"`
	Time             time.Duration `json:"-"`
	ImageSize        int64         `json:"image_size"`
	BlocksCopied     int           `json:"blocks_copied"`
	BlocksCompressed int           `json:"blocks_compressed"`
	Current          bool          `json:"current"` // the slot held the image: nothing was written
}
