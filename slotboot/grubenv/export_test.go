package grubenv

// States are the blocks of this package's tests, for those that import grubtest.
func States() map[string][]byte {
	blocks := map[string][]byte{}
	for name, s := range states {
		blocks[name] = s.block
	}
	return blocks
}
