package initrd

import (
	"fmt"
	"regexp"

	"deltaup/chunkstore"
)

var codecSyntax = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,63}$`)

// Validate reports the first thing that makes r no recipe of an initrd. Its errors wrap
// chunkstore.ErrCorrupt. A codec that this program does not know is valid: see [KnownCodec].
func (r *Recipe) Validate() error {
	if !codecSyntax.MatchString(r.Codec) {
		return corrupt("%.70q is no codec id", r.Codec)
	}
	if err := r.Chunking.Validate(); err != nil {
		return corrupt("chunking: %v", err)
	}
	if len(r.Segments) == 0 || len(r.Segments) > segmentsMax {
		return corrupt("%d segments, 1 to %d are possible", len(r.Segments), segmentsMax)
	}
	v := validator{
		chunking: r.Chunking,
		contents: make(map[chunkstore.ID]*chunkstore.Content),
		chunks:   make(map[chunkstore.ID]int64),
	}
	for i := range r.Segments {
		if i > 0 && !r.Segments[i].Packed && !r.Segments[i-1].Packed {
			return corrupt("segment %d: plain after a plain one", i+1)
		}
		if err := v.segment(&r.Segments[i]); err != nil {
			return fmt.Errorf("segment %d: %w", i+1, err)
		}
		if first := r.Segments[i].Archives[0]; i > 0 && !r.Segments[i].Packed && first.Zeros > 0 {
			return corrupt("segment %d: zeros where Build aligns", i+1)
		}
	}
	return nil
}

type validator struct {
	chunking chunkstore.Params
	contents map[chunkstore.ID]*chunkstore.Content
	chunks   map[chunkstore.ID]int64 // sizes
	members  int
	plain    int64 // bytes
}

func (v *validator) segment(s *Segment) error {
	if len(s.Archives) == 0 || len(s.Archives) > archivesMax {
		return corrupt("%d archives, 1 to %d are possible", len(s.Archives), archivesMax)
	}
	start := v.plain
	for i := range s.Archives {
		a := &s.Archives[i]
		if err := v.count(a.Zeros); err != nil {
			return err
		}
		if align(v.plain-start) != 0 {
			return corrupt("archive %d does not begin at a multiple of 4", i+1)
		}
		if len(a.Members) == 0 {
			return corrupt("archive %d is empty", i+1)
		}
		for j := range a.Members {
			m := &a.Members[j]
			if err := v.member(m, j == len(a.Members)-1); err != nil {
				return fmt.Errorf("archive %d, %.200q: %w", i+1, m.Name, err)
			}
		}
	}
	return v.count(s.Zeros)
}

// count takes n more bytes.
func (v *validator) count(n int64) error {
	if n < 0 || n > plainMax-v.plain {
		return corrupt("more than %d bytes", int64(plainMax))
	}
	v.plain += n
	return nil
}

func (v *validator) member(m *Member, last bool) error {
	if v.members++; v.members > membersMax {
		return corrupt("more than %d files", membersMax)
	}
	if m.isTrailer() != last {
		return corrupt("a trailer that is not the last member, or a last member that is none")
	}
	if err := m.validate(); err != nil {
		return corrupt("%v", err)
	}
	if m.Content != nil {
		if err := v.content(m.Content); err != nil {
			return err
		}
	}
	return v.count(m.stored())
}

// validate holds what both an initrd's and a recipe's members must be. The kernel would
// pass over names and targets that are longer.
func (m *Member) validate() error {
	kind := m.Mode & modeType
	_, known := letterOf(m)
	switch {
	case len(m.Name) == 0 || len(m.Name) > nameMax:
		return fmt.Errorf("a name of %d bytes", len(m.Name))
	case m.Mode > modeMax || !known:
		return fmt.Errorf("mode %o", m.Mode)
	case m.Target != "" && (kind != modeLink || len(m.Target) > targetMax):
		return fmt.Errorf("a link target of %d bytes with mode %o", len(m.Target), m.Mode)
	case m.Content != nil && (kind != modeFile || m.Content.Size > 1<<32-1 || m.isTrailer()):
		return fmt.Errorf("%d bytes with mode %o", m.Content.Size, m.Mode)
	case m.isTrailer() && kind == modeLink:
		return fmt.Errorf("a trailer with mode %o", m.Mode)
	}
	return nil
}

// content checks a file's content, at its first appearance all of it.
func (v *validator) content(c *chunkstore.Content) error {
	if c.Size <= 0 || c.ID.IsZero() {
		return corrupt("a content of %d bytes", c.Size)
	}
	if known := v.contents[c.ID]; known != nil {
		if known != c {
			return corrupt("content %v described twice", c.ID)
		}
		return nil
	}
	v.contents[c.ID] = c
	left := c.Size
	for _, k := range c.Chunks {
		if k.Size <= 0 || k.Size > left {
			return corrupt("chunks that do not add up to %d bytes", c.Size)
		}
		left -= k.Size
		if k.IsHole() {
			continue
		}
		if k.Size > int64(v.chunking.Max) {
			return corrupt("a chunk of %d bytes", k.Size)
		}
		if known, ok := v.chunks[k.ID]; ok && known != k.Size {
			return corrupt("chunk %v with %d and with %d bytes", k.ID, known, k.Size)
		}
		v.chunks[k.ID] = k.Size
	}
	if left != 0 {
		return corrupt("chunks that do not add up to %d bytes", c.Size)
	}
	if len(c.Chunks) == 1 && !c.Chunks[0].IsHole() && c.Chunks[0].ID != c.ID {
		return corrupt("its only chunk is not the content")
	}
	return nil
}
