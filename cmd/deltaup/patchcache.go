//go:build !target

package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"deltaup/delta/patchcache"
	"deltaup/delta/patchset"
)

// patchCacheOptions are the flags of commands that make patch sets.
type patchCacheOptions struct{ cache, cacheSize string }

// noCache is the value of --cache that keeps nothing.
const noCache = "none"

// patchCacheSize is how many bytes are kept unless --cache-size says otherwise.
const patchCacheSize = 2 << 30

func (o *patchCacheOptions) addCacheFlags(f *pflag.FlagSet) {
	f.StringVar(&o.cache, "cache", "",
		"`FOLDER` that keeps what was made, for the next run; none keeps nothing\n(default: deltaup/patches in the user's cache)")
	f.StringVar(&o.cacheSize, "cache-size", "", "keep at most so many `BYTES` there (default: 2 GiB)")
}

// openCache gives the cache, nil when there is none. close tells warn why it keeps nothing more, if
// it does not. That the default folder cannot be used is a warning, too.
func (o *patchCacheOptions) openCache(warn func(text string)) (cache patchset.Keeper, close func(), err error) {
	none := func() {}
	unkept := func(err error) { warn("what is made is not kept: " + err.Error()) }
	size, err := parseBytes("--cache-size", o.cacheSize)
	if err != nil {
		return nil, none, &usageError{err}
	}
	if size == 0 {
		size = patchCacheSize
	}
	dir := o.cache
	switch dir {
	case noCache:
		return nil, none, nil
	case "":
		user, err := os.UserCacheDir()
		if err != nil { // a service has no home
			return nil, none, nil
		}
		dir = filepath.Join(user, "deltaup", "patches")
	}
	f, err := patchcache.Open(dir, size)
	switch {
	case err == nil:
		return f, func() {
			if err := f.Err(); err != nil {
				unkept(err)
			}
		}, nil
	case o.cache == "":
		unkept(err)
		return nil, none, nil
	}
	return nil, none, err
}
