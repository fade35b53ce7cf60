package patchset

import (
	"bytes"
	"encoding/binary"
	"sync"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
)

// Keeper keeps what took long to make, under the hash of what it was made of. Make holds what it
// gets against that, so that a damaged cache costs time and a forged one at most bytes. It is for
// several goroutines.
type Keeper interface {
	// Get gives what was put under a key, nil when there is nothing. Nobody changes it.
	Get(key chunkstore.ID) []byte
	// Put may keep value, which nobody changes. Whether it did shows the next Get.
	Put(key chunkstore.ID, value []byte)
}

// cache is what Make has in a Keeper, which may be nil: patches from bytes to bytes, and coded
// streams. Neither depends on the release that a set leads from, nor on where in it the bytes are.
type cache struct{ Keeper }

// The domains of keys. What gives other bytes for the same input gets another one.
const (
	patchDomain = "deltaup patch 1\x00"
	codedDomain = "deltaup brotli 1\x00"
)

// A patch to, or a stream of, fewer bytes is made sooner than it is found.
const (
	patchKept = 16 << 10
	codedKept = 4 << 10
)

// patchKey is the key of the patch from the bytes of x to plain. It is zero without a cache.
func (c cache) patchKey(x *matcher, plain []byte) (key chunkstore.ID) {
	if c.Keeper == nil || len(plain) < patchKept || len(x.old) == 0 {
		return key
	}
	old, new := x.id(), chunkstore.Sum(plain)
	b := append([]byte(patchDomain), old[:]...)
	b = append(b, new[:]...)
	return chunkstore.Sum(binary.AppendUvarint(b, uint64(x.at)))
}

// packer and unpacker are for patches in a cache.
var packer = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // constant options
	}
	return e
})

// patchMost bounds the streams of a patch to so many bytes that is kept.
func patchMost(plain int) int { return 2*plain + 1024 }

// patch gives the patch under key, if it leads from the bytes of x to plain.
func (c cache) patch(key chunkstore.ID, x *matcher, plain []byte) (s suffix.Streams, ok bool) {
	if key.IsZero() {
		return s, false
	}
	packed := c.Get(key)
	if packed == nil {
		return s, false
	}
	s, ok = unpackPatch(packed, len(plain))
	if !ok {
		return s, false
	}
	got, err := suffix.Patch(nil, shifted{x.old, x.at}, x.at+int64(len(x.old)), s,
		int64(len(plain)))
	return s, checkPatched(got, err, plain) == nil
}

// unpackPatch reads what keepPatch wrote for a patch that makes so many bytes.
func unpackPatch(packed []byte, plain int) (s suffix.Streams, ok bool) {
	var h zstd.Header
	most := uint64(patchMost(plain) + suffix.NumStreams*binary.MaxVarintLen64)
	if h.Decode(packed) != nil || !h.HasFCS || h.FrameContentSize > most {
		return s, false
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(most))
	if err != nil {
		return s, false
	}
	defer d.Close()
	b, err := d.DecodeAll(packed, nil)
	if err != nil {
		return s, false
	}
	in := input{b: b}
	var sizes [suffix.NumStreams]int
	for i := range sizes {
		sizes[i] = in.length(int64(len(b)))
	}
	for i, n := range sizes {
		s[i] = in.bytes(n)
	}
	return s, in.end() == nil
}

// keepPatch keeps a patch that makes so many bytes.
func (c cache) keepPatch(key chunkstore.ID, s *suffix.Streams, plain int) {
	if key.IsZero() || s.Len() > patchMost(plain) {
		return
	}
	b := make([]byte, 0, s.Len()+suffix.NumStreams*binary.MaxVarintLen64)
	for _, p := range s {
		b = binary.AppendUvarint(b, uint64(len(p)))
	}
	for _, p := range s {
		b = append(b, p...)
	}
	c.Put(key, packer().EncodeAll(b, nil))
}

// smallest is the function of that name, with the cache.
func (c cache) smallest(plain []byte, fed func(n int)) (coder int, stored []byte) {
	if c.Keeper == nil || len(plain) < codedKept {
		return smallest(plain, fed)
	}
	h := chunkstore.NewHasher()
	h.Write([]byte(codedDomain))
	h.Write(plain)
	key := h.ID()
	if b := c.Get(key); len(b) > 0 && int(b[0]) < len(coders) && len(b)-1 <= len(plain) {
		got, err := coders[b[0]].decode(b[1:], len(plain))
		if err == nil && bytes.Equal(got, plain) {
			fed(len(plain))
			return int(b[0]), b[1:]
		}
	}
	coder, stored = smallest(plain, fed)
	if coder > 0 { // else it is large, and quickly found
		c.Put(key, append([]byte{byte(coder)}, stored...))
	}
	return coder, stored
}
