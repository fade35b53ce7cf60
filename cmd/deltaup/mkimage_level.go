//go:build !target

package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"deltaup/chunkstore"
	"deltaup/internal/human"
	"deltaup/mkimage"
)

// levelAuto has mkimage choose the level by what an update costs the targets.
const levelAuto = "auto"

const (
	// updateShare is the part of all contents that lies in blocks which an update by patches
	// compresses again: 166 of 416 MB in the security update that doc/pull.md measures.
	updateShare = 0.4
	// targetMemory is what a pull leaves to its encoders, see "Memory" in doc/pull.md.
	targetMemory = 12 << 20
	// levelSamples is how many blocks, all over the tree, tell how much a level saves and takes.
	levelSamples = 64
	// levelGain is the share of the image below which a saving is not worth the time of a target.
	levelGain = 0.005
	// levelSlack is how many times more or less time the level before may take to be kept: two
	// measurements differ, and with another level a target compresses all blocks again.
	levelSlack = 1.25
)

// targetCPU is what compresses on a target, and how long it may take over an update.
type targetCPU struct {
	processors int
	speed      float64 // of one processor, as a part of that of one here
	within     time.Duration
}

// parseTargetCPU reads PROCESSORSxSPEED.
func parseTargetCPU(s string, within time.Duration) (targetCPU, error) {
	count, speed, ok := strings.Cut(s, "x")
	t := targetCPU{within: within}
	n, err := strconv.ParseUint(count, 10, 16)
	t.processors = int(n)
	if err == nil {
		t.speed, err = strconv.ParseFloat(speed, 64)
	}
	if !ok || err != nil || n == 0 || !(t.speed > 0 && t.speed <= 100) {
		return t, fmt.Errorf("--target-cpu %q: want processors and the speed of one, such as 4x0.25", s)
	}
	if within <= 0 {
		return t, fmt.Errorf("--target-time %v: want a time above 0", within)
	}
	return t, nil
}

// levelCost is what a level was measured to take.
type levelCost struct {
	level  string
	image  int64         // bytes of all contents, compressed
	update time.Duration // that a target compresses in an update
}

// chooseLevel sets the recipe's codec to that of the level by which the image is the smallest,
// among those that take a target no longer than it may. It keeps the codec of the image before
// where that is about as good.
func (o *mkimageOptions) chooseLevel(ctx context.Context, env *Env, r *mkimage.Recipe,
	source mkimage.Source) error {
	sample, plain, err := sampleContents(ctx, r, source)
	if err != nil || len(sample) == 0 {
		return err // too small a tree for the level to matter
	}
	costs, err := o.target.measure(r, sample, plain)
	if err != nil {
		return err
	}
	before := ""
	if o.previous != "" {
		previous, err := readRecipe(o.previous)
		if err != nil {
			return err
		}
		before = previous.Codec
	}
	chosen := o.target.choose(costs, before)
	for i, c := range costs {
		mark := ""
		if i == chosen {
			mark = ", chosen"
		}
		printf(env.Stdout, "level %s: contents of about %s, a target compresses for %.1f s an update%s\n",
			c.level, human.Size(c.image), c.update.Seconds(), mark)
	}
	if c := costs[chosen]; c.update > o.target.within {
		warn(env.Stderr, fmt.Sprintf("--level auto: no level lets a target keep to %v", o.target.within))
	}
	r.Codec, err = mkimage.CodecFor(costs[chosen].level)
	return err
}

// measure tries all levels, the fastest first, on a sample of so many plain bytes.
func (t *targetCPU) measure(r *mkimage.Recipe, sample []byte, plain int64) ([]levelCost, error) {
	var costs []levelCost
	for _, level := range mkimage.Levels() {
		codec, err := mkimage.CodecFor(level)
		if err != nil {
			return nil, err
		}
		encoders, err := mkimage.NewEncoders(codec)
		if err != nil {
			return nil, err
		}
		rate, stored, err := encoders.Measure(r.BlockSize, sample)
		if err != nil {
			return nil, err
		}
		workers := encoders.WorkersOf(t.processors, r.BlockSize, targetMemory)
		rate *= t.speed * float64(workers)
		costs = append(costs, levelCost{
			level:  level,
			image:  int64(float64(plain) * float64(stored) / float64(len(sample))),
			update: time.Duration(float64(plain) * updateShare / rate * float64(time.Second)),
		})
	}
	return costs, nil
}

// choose gives the index of the level to take. Before is the codec of the image before, or "".
func (t *targetCPU) choose(costs []levelCost, before string) int {
	within := func(limit time.Duration) (best int) {
		for i, c := range costs {
			if c.update <= limit && float64(c.image) < float64(costs[best].image)*(1-levelGain) {
				best = i
			}
		}
		return best
	}
	chosen := within(t.within)
	for _, slack := range []float64{levelSlack, 1 / levelSlack} {
		other := within(time.Duration(float64(t.within) * slack))
		if codec, err := mkimage.CodecFor(costs[other].level); err == nil && codec == before {
			return other
		}
	}
	return chosen
}

// sampleContents reads whole blocks, all over the contents of a recipe as its image stores them,
// and tells how many bytes all contents have. Of a tree of less than a block it gives none.
func sampleContents(ctx context.Context, r *mkimage.Recipe,
	source mkimage.Source) (sample []byte, plain int64, err error) {
	contents := r.DataOrder()
	for _, c := range contents {
		plain += c.Size
	}
	size := int64(r.BlockSize)
	step := max(plain/levelSamples, size)
	at, next := int64(0), step/2
	var small []byte // of a block of small contents
	for _, c := range contents {
		end := at + c.Size
		for ; c.Size >= size && next < end; next += step {
			from := min(max(next-at, 0)/size, c.Size/size-1) * size
			if sample, err = appendPart(ctx, sample, source, c, from, size); err != nil {
				return nil, 0, err
			}
		}
		if c.Size < size && (next < end || len(small) > 0) {
			if small, err = appendPart(ctx, small, source, c, 0, c.Size); err != nil {
				return nil, 0, err
			}
			if int64(len(small)) >= size {
				sample, small, next = append(sample, small[:size]...), nil, max(next, end)+step
			}
		}
		at = end
	}
	return sample, plain, nil
}

// appendPart appends n bytes of a content, from off on.
func appendPart(ctx context.Context, to []byte, source mkimage.Source, c *chunkstore.Content, off,
	n int64) ([]byte, error) {
	in, err := source.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer in.Close() // read only
	part := make([]byte, n)
	if _, err = io.CopyN(io.Discard, in, off); err == nil {
		_, err = io.ReadFull(in, part)
	}
	if err != nil {
		return nil, fmt.Errorf("content %v: %w", c.ID, err)
	}
	return append(to, part...), nil
}
