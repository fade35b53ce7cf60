package delta

// NewPlan decides what to fetch. Of the routes that are open it takes the one with
// fewer bytes; when they are equal, the whole image, which costs the target less work.
//
// Errors wrap ErrNoRoute, or chunkstore.ErrCorrupt for locations that no chunk of that size can have.
func NewPlan(need Need, have Have, line Line, o Options) (*Plan, error) { panic("unbuilt") }
