package durable

import "sync/atomic"

// Op is one kind of change to a disk.
type Op string

// The changes that this package makes, in the order in which a file meets them.
const (
	OpMkdir      Op = "mkdir"
	OpCreate     Op = "create" // Path is the folder: the file has no name yet
	OpWrite      Op = "write"
	OpSync       Op = "sync"
	OpRename     Op = "rename"
	OpSyncFolder Op = "syncfolder"
	OpRemove     Op = "remove"
)

// Step is one change that is about to be made.
type Step struct {
	Op   Op
	Path string
	To   string // OpRename: the new name
}

var hook atomic.Pointer[func(Step) error]

// SetHook has fn called before every step of every file; an error of fn is
// returned in place of doing the step. It is for tests only, see durabletest, and
// holds for the whole process until restore is called.
func SetHook(fn func(Step) error) (restore func()) {
	old := hook.Swap(&fn)
	return func() { hook.Store(old) }
}

func step(s Step) error {
	if fn := hook.Load(); fn != nil {
		return (*fn)(s)
	}
	return nil
}
