package apply

import (
	"io"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mkimage"
)

// measureFiles is how many files of a seed give a block each, to learn how quick this machine compresses.
const measureFiles = 8

// patchShare is how much longer bytes take that come by patch than bytes that are read from a seed: what is
// around a patch, transforms and hashes, counts for more than the patch itself.
const patchShare = 10

// measureCPU fills in what was not told of the machine: how quickly it compresses, on bytes of a
// seed, and how quickly it read the seeds.
func (u *Update) measureCPU() {
	for _, s := range u.seeds.list {
		if s.derived == nil {
			continue
		}
		if u.cpu.Decode <= 0 {
			u.cpu.Decode = s.rate
		}
		if u.cpu.Patch <= 0 {
			u.cpu.Patch = s.rate / patchShare
		}
		r := s.derived.Recipe
		if sample := s.sample(); u.cpu.Compress <= 0 && len(sample) > 0 {
			u.cpu.Compress = u.compressRate(r, sample)
		}
	}
}

// compressRate measures on a sample how quickly a recipe's blocks are compressed, with the encoders that the rebuild
// takes too; 0 when the codec is not known.
func (u *Update) compressRate(r *mkimage.Recipe, sample []byte) float64 {
	encoders, err := mkimage.NewEncoders(r.Codec)
	if err != nil {
		return 0
	}
	rate, err := encoders.Rate(r.BlockSize, sample)
	if err != nil {
		return 0
	}
	u.encoders = encoders
	return rate * float64(encoders.Workers(r.BlockSize, u.encoderMemory(delta.RoutePatch)))
}

// sample gives a block from the middle of each of some large files all over a seed.
func (s *seed) sample() []byte {
	r := s.derived.Recipe
	var large []*chunkstore.Content
	for c := range r.Contents() {
		if c.Size >= int64(r.BlockSize) {
			large = append(large, c)
		}
	}
	var sample []byte
	for i := range min(measureFiles, len(large)) {
		c := large[i*len(large)/min(measureFiles, len(large))]
		block := make([]byte, r.BlockSize)
		f, err := s.file(c.ID)
		if err == nil {
			_, err = io.ReadFull(io.NewSectionReader(f, (c.Size-int64(r.BlockSize))/2, int64(r.BlockSize)), block)
		}
		if err == nil { // else it shows when the seed is used
			sample = append(sample, block...)
		}
	}
	return sample
}
