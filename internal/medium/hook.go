package medium

import (
	"os"
	"sync/atomic"
)

var hook atomic.Pointer[func(path string, off, n int64) error]

// SetHook has fn called before every read of a file by [Copy] or through a [Salvage]; an error of
// fn is the read's. It is for tests only, and holds for the whole process until restore is called.
func SetHook(fn func(path string, off, n int64) error) (restore func()) {
	old := hook.Swap(&fn)
	return func() { hook.Store(old) }
}

func fault(r any, off, n int64) error {
	fn := hook.Load()
	if fn == nil {
		return nil
	}
	switch r := r.(type) {
	case *os.File:
		return (*fn)(r.Name(), off, n)
	case *Reader:
		return (*fn)(r.f.Name(), off, n)
	}
	return nil
}
