package apply

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"time"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// sampleBlocks is how many blocks of a seed, each from another file, tell how quick this machine
// is; fewer of large ones.
func sampleBlocks(blockSize int) int { return min(max(4, 2<<20/blockSize), 16) }

// patchShare is how many times longer a byte takes that comes by patch than one that is read from a
// seed. Transforms and hashes around a patch take more of that than the patch itself.
const patchShare = 5.5

// machine is what is known of how quickly this machine works.
type machine struct {
	cpu      delta.CPU
	encoders *mkimage.Encoders // that measured compressing, kept for the rebuild; nil: none
}

// measure fills in what was not told of the machine: how quickly it compresses, on bytes of a seed
// and with encoders that have so much memory, and how quickly it reads seeds. It read them just
// now, or did so earlier (0: never), or else it reads a few blocks.
func (m *machine) measure(ctx context.Context, seeds *seeds, earlier float64, memory int64) {
	for _, s := range seeds.list {
		if s.derived == nil {
			continue
		}
		rate := s.rate
		if rate <= 0 {
			rate = earlier
		}
		if rate <= 0 && (m.cpu.Decode <= 0 || m.cpu.Patch <= 0) {
			rate = sampleRate(s.path)
		}
		if m.cpu.Decode <= 0 {
			m.cpu.Decode = rate
		}
		if m.cpu.Patch <= 0 {
			m.cpu.Patch = rate / patchShare
		}
		if m.cpu.Compress > 0 {
			continue
		}
		if s.speed == nil {
			s.speed = s.measure(ctx)
		}
		if s.speed != nil {
			m.cpu.Compress, m.encoders = s.speed.of(memory), s.speed.encoders
		}
	}
}

// speed is how quickly blocks are compressed, with the encoders that the rebuild takes too.
type speed struct {
	encoders  *mkimage.Encoders
	blockSize int
	rate      float64 // of one encoder, plain bytes per second
}

// of is how quickly as many encoders compress as have room in so much memory.
func (s *speed) of(memory int64) float64 {
	return s.rate * float64(s.encoders.Workers(s.blockSize, memory))
}

// newSpeed measures on a sample how quickly blocks are compressed; nil when the codec is not known,
// or there is no sample.
func newSpeed(codec string, blockSize int, sample []byte) *speed {
	encoders, err := mkimage.NewEncoders(codec)
	if err != nil || len(sample) == 0 {
		return nil
	}
	rate, err := encoders.Rate(blockSize, sample)
	if err != nil {
		return nil
	}
	return &speed{encoders, blockSize, rate}
}

// stepping is how long it takes one processor to patch a number of bytes, as for a step.
func stepping(cpu delta.CPU, bytes int64) time.Duration {
	return cpu.Patching(bytes) * time.Duration(runtime.GOMAXPROCS(0))
}

// atMost is what is known of the machine, and for the rest more than any machine of so many
// processors can do.
func (m *machine) atMost() delta.CPU {
	processors := float64(runtime.GOMAXPROCS(0))
	cpu := m.cpu
	for _, x := range []struct {
		rate *float64
		most float64 // of one processor
	}{{&cpu.Decode, 600e6}, {&cpu.Patch, 600e6 / patchShare}, {&cpu.Compress, 400e6}} {
		if *x.rate <= 0 {
			*x.rate = x.most * processors
		}
	}
	return cpu
}

// guess is what is known of the machine before the files in the seeds are read. What was not told
// is measured on a few of these files: how quickly they are read (decompressed, cut and hashed),
// unless that is known from earlier (0: it is not), and how quickly blocks of them are compressed.
func (m *machine) guess(seeds []string, early *Early, earlier float64) delta.CPU {
	cpu := m.cpu
	for _, path := range seeds {
		speed, decode := early.speed(path), earlier
		if speed == nil && cpu.Compress <= 0 || cpu.Decode <= 0 && decode <= 0 {
			s, err := readSample(path)
			if err != nil || s.read <= 0 {
				continue // it shows when the seed is read, or is none of ours
			}
			if decode <= 0 {
				decode = s.rate()
			}
			if speed == nil && cpu.Compress <= 0 {
				speed = newSpeed(s.codec, s.blockSize, s.plain)
			}
		}
		if cpu.Decode <= 0 {
			cpu.Decode = decode
		}
		if cpu.Patch <= 0 {
			cpu.Patch = cpu.Decode / patchShare
		}
		if speed != nil && cpu.Compress <= 0 {
			cpu.Compress = speed.of(processes[0] - heapBeside - heapOther - patchUnknown)
		}
		break
	}
	return cpu
}

// sampleRate is how quickly all processors read an image, judging by a few blocks; 0 when it cannot
// be read.
func sampleRate(path string) float64 {
	s, err := readSample(path)
	if err != nil {
		return 0
	}
	return s.rate()
}

// imageSample is a few blocks of an image.
type imageSample struct {
	codec     string // "": not one of ours
	blockSize int
	plain     []byte
	read      float64 // plain bytes per second that one processor read
}

// rate is how many plain bytes per second all processors read.
func (s *imageSample) rate() float64 { return s.read * float64(runtime.GOMAXPROCS(0)) }

// readSample reads the first blocks of the first large files of an image.
func readSample(path string) (*imageSample, error) {
	m, err := squashfs.OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer m.Close() // read only
	s := &imageSample{blockSize: m.Info().BlockSize}
	if t, ok, err := mkimage.ReadTrailer(m.Image); err == nil && ok {
		s.codec = t.Codec
	}
	splitter := chunkstore.NewSplitter(chunkstore.DefaultParams)
	var took []time.Duration
	err = m.Walk(func(n *squashfs.Node) error {
		if n.Type != tree.Regular || n.Size < int64(s.blockSize) {
			return nil
		}
		file, err := m.File(n)
		if err != nil {
			return err
		}
		before, start := len(s.plain), time.Now()
		s.plain = append(s.plain, make([]byte, s.blockSize)...)
		block := s.plain[before:]
		if _, err := file.ReadAt(block, 0); err != nil && err != io.EOF {
			return err
		}
		if _, err := splitter.Split(bytes.NewReader(block), nil); err != nil {
			return err
		}
		if took = append(took, time.Since(start)); len(took) == sampleBlocks(s.blockSize) {
			return fs.SkipAll
		}
		return nil
	})
	// the first ones warm up, and on a busy machine half of them are interrupted; see
	// mkimage.Encoders.Rate
	if len(took) > 0 {
		slices.Sort(took)
		s.read = float64(s.blockSize) / max(took[(len(took)-1)/4], time.Microsecond).Seconds()
	}
	return s, err
}

// measure measures how quickly blocks of an image are compressed; nil when that cannot be known.
func (s *seed) measure(ctx context.Context) *speed {
	r := s.derived.Recipe
	return newSpeed(r.Codec, r.BlockSize, s.sample(ctx))
}

// sample gives a block from the middle of each of some large files all over a seed.
func (s *seed) sample(ctx context.Context) []byte {
	r := s.derived.Recipe
	var large []*chunkstore.Content
	for c := range r.Contents() {
		if c.Size >= int64(r.BlockSize) {
			large = append(large, c)
		}
	}
	var sample []byte
	n := min(sampleBlocks(r.BlockSize), len(large))
	for i := range n {
		c := large[i*len(large)/n]
		block := make([]byte, r.BlockSize)
		f, err := s.file(ctx, c.ID)
		if err == nil {
			_, err = io.ReadFull(
				io.NewSectionReader(f, (c.Size-int64(r.BlockSize))/2, int64(r.BlockSize)), block)
		}
		if err == nil { // else it shows when the seed is used
			sample = append(sample, block...)
		}
	}
	return sample
}
