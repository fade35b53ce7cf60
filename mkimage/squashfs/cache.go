package squashfs

import (
	"slices"
	"sync"
)

// cache keeps the values that were used last, a few dozen at most. It is safe for concurrent use.
// Callers share values and must not change them.
type cache[K comparable, V any] struct {
	mu      sync.Mutex
	max     int
	entries []cacheEntry[K, V] // in order of use, the one used last at the end
}

type cacheEntry[K comparable, V any] struct {
	key   K
	value V
}

// get returns the value for key, which it loads if necessary. Two concurrent callers may both load
// the same value, which does no harm.
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
