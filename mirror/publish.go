package mirror

import "context"

// DefaultPackSize is about how many bytes a pack has, unless a publication says otherwise.
const DefaultPackSize = 16 << 20

// RecipeSuffix is added to an image's path to find its recipe.
const RecipeSuffix = ".recipe"

// File is a raw artifact to publish.
type File struct {
	Name string // a [ValidName]
	Path string
}

// Publication is what [Publish] is to add to a mirror.
type Publication struct {
	Version    string
	Channel    string // whose pointer is moved; "" moves none
	Compatible string
	Image      string // path of a squashfs image whose recipe lies beside it; "" when all artifacts are raw
	Artifacts  []File // raw artifacts, in the order in which the release lists them
	PackSize   int64  // about how many bytes a new pack has; 0 is DefaultPackSize

	NoWait   bool                    // refuse with ErrBusy instead of waiting for another publisher
	Waiting  func()                  // called once when waiting for another publisher begins; may be nil
	Progress func(done, total int64) // plain bytes of contents seen to; may be nil
}

// Published is what [Publish] added.
type Published struct {
	Release   *Release
	Existed   bool  // the version was there with the same bytes; at most the pointer moved
	Chunks    int   // distinct chunks that the release needs
	NewChunks int   // of them, those that the mirror did not have
	NewPacks  int   // packs added
	NewBytes  int64 // their size
}

// Publish adds a release to the mirror in dir, which it makes when it does not exist,
// and then moves the channel's pointer. Everything else is durable before the pointer moves.
// A run that was cut off at any point leaves a valid mirror; the same call then completes it.
//
// Errors wrap ErrExists, ErrBusy, ErrMismatch, chunkstore.ErrCorrupt or squashfs.ErrCorrupt.
func Publish(ctx context.Context, dir string, p Publication) (*Published, error) { panic("unbuilt") }
