package durable

import "sync/atomic"

// Op is one kind of change to a disk.
type Op string

// The kinds of changes, in their order for one file.
const (
	OpMkdir      Op = "mkdir"
	OpCreate     Op = "create" // Path is the folder, since the file has no name yet
	OpWrite      Op = "write"
	OpSync       Op = "sync"
	OpRename     Op = "rename"
	OpSyncFolder Op = "syncfolder"
	OpRemove     Op = "remove"
	OpSyncAll    Op = "syncfs" // everything of the file system that the folder Path is in
)

// Action is one change to the disk, before it is made.
type Action struct {
	Op   Op
	Path string
	To   string // OpRename: the new name
}

var hook atomic.Pointer[func(Action) error]

// SetHook has the package call fn before every change, perhaps by several goroutines at once. If fn
// returns an error, the change is not made and returns that error. The hook is for tests only, see
// durabletest. It applies to the whole process until restore is called.
func SetHook(fn func(Action) error) (restore func()) {
	old := hook.Swap(&fn)
	return func() { hook.Store(old) }
}

// Announce calls the hook, for packages that make changes in ways of their own. When it returns an
// error, the caller makes no change.
func Announce(a Action) error { return announce(a) }

func announce(a Action) error {
	if fn := hook.Load(); fn != nil {
		return (*fn)(a)
	}
	return nil
}
