package squashfs

import (
	"slices"
	"sync"
)

// cache keeps the values used last. It is meant for a few dozen at most and safe for
// concurrent use; values are shared and must not be changed.
type cache[K comparable, V any] struct {
	mu      sync.Mutex
	max     int
	entries []cacheEntry[K, V] // the one used last is the last
}

type cacheEntry[K comparable, V any] struct {
	key   K
	value V
}

// get returns the value for key, from load when it is not there. Two callers at
// once may both load the same value, which does no harm.
func (c *cache[K, V]) get(key K, load func() (V, error)) (V, error) {
	if v, ok := c.lookup(key); ok {
		return v, nil
	}
	v, err := load()
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= c.max {
		c.entries = slices.Delete(c.entries, 0, 1)
	}
	c.entries = append(c.entries, cacheEntry[K, V]{key, v})
	return v, nil
}

func (c *cache[K, V]) lookup(key K) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.entries) - 1; i >= 0; i-- {
		if e := c.entries[i]; e.key == key {
			copy(c.entries[i:], c.entries[i+1:])
			c.entries[len(c.entries)-1] = e
			return e.value, true
		}
	}
	return v, false
}
