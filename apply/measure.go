package apply

import (
	"io"

	"deltaup/mkimage"
)

// measureSample is how many plain bytes are compressed to learn how quick this machine is.
const measureSample = 512 << 10

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
		if u.cpu.Compress > 0 || !mkimage.KnownCodec(s.derived.Recipe.Codec) {
			continue
		}
		for c := range s.derived.Recipe.Contents() {
			if c.Size < measureSample {
				continue
			}
			sample := make([]byte, measureSample)
			f, err := s.file(c.ID)
			if err == nil {
				_, err = io.ReadFull(io.NewSectionReader(f, (c.Size-measureSample)/2, measureSample), sample)
			}
			if err == nil {
				u.cpu.Compress, err = mkimage.CompressRate(s.derived.Recipe.Codec, s.derived.Recipe.BlockSize, sample)
			}
			if err == nil {
				break
			}
		}
	}
}
