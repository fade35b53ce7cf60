package medium

import (
	"os"
	"sync/atomic"
)

var hook atomic.Pointer[func(path string, off, n int64) error]

// SetHook has the package call fn before every read by [Copy] or through a [Salvage]. If fn returns
// an error, the read fails with it. The hook is for tests only. It applies to the whole process
// until restore is called.
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
