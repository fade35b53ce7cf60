package initrd

import (
	"fmt"

	"deltaup/chunkstore"
	"deltaup/mkimage/internal/recipetext"
)

// Validate reports the first thing that is wrong with r. Its errors wrap chunkstore.ErrCorrupt. A
// codec that this program does not know is valid, see [KnownCodec].
func (r *Recipe) Validate() error {
	if err := recipetext.CheckParameters(r.Codec, r.Chunking); err != nil {
		return err
	}
	if len(r.Segments) == 0 || len(r.Segments) > segmentsMax {
		return corrupt("%d segments, 1 to %d are possible", len(r.Segments), segmentsMax)
	}
	v := validator{contents: recipetext.NewContentCheck(r.Chunking)}
	for i := range r.Segments {
		if i > 0 && !r.Segments[i].packed && !r.Segments[i-1].packed {
			return corrupt("segment %d: plain after a plain one", i+1)
		}
		if err := v.segment(&r.Segments[i]); err != nil {
			return fmt.Errorf("segment %d: %w", i+1, err)
		}
		if first := r.Segments[i].Archives[0]; i > 0 && !r.Segments[i].packed && first.zeros > 0 {
			return corrupt("segment %d: zeros where Build aligns", i+1)
		}
	}
	return nil
}

type validator struct {
	contents *recipetext.ContentCheck
	members  int
	plain    int64 // unpacked bytes so far
}

func (v *validator) segment(s *Segment) error {
	if len(s.Archives) == 0 || len(s.Archives) > archivesMax {
		return corrupt("%d archives, 1 to %d are possible", len(s.Archives), archivesMax)
	}
	start := v.plain
	for i := range s.Archives {
		a := &s.Archives[i]
		if err := v.count(a.zeros); err != nil {
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
	return v.count(s.zeros)
}

// count adds n bytes.
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

// validate checks what holds for members of initrds and of recipes. The kernel skips members with
// longer names and targets.
func (m *Member) validate() error {
	kind := m.mode & modeType
	_, known := letterOf(m)
	switch {
	case len(m.Name) == 0 || len(m.Name) > nameMax:
		return fmt.Errorf("a name of %d bytes", len(m.Name))
	case m.mode > modeMax || !known:
		return fmt.Errorf("mode %o", m.mode)
	case m.target != "" && (kind != modeLink || len(m.target) > targetMax):
		return fmt.Errorf("a link target of %d bytes with mode %o", len(m.target), m.mode)
	case m.Content != nil && (kind != modeFile || m.Content.Size > 1<<32-1 || m.isTrailer()):
		return fmt.Errorf("%d bytes with mode %o", m.Content.Size, m.mode)
	case m.isTrailer() && kind == modeLink:
		return fmt.Errorf("a trailer with mode %o", m.mode)
	}
	return nil
}

// content checks a file's content, and its chunks at its first appearance.
func (v *validator) content(c *chunkstore.Content) error {
	if c.Size <= 0 || c.ID.IsZero() {
		return corrupt("a content of %d bytes", c.Size)
	}
	if first, err := v.contents.First(c); !first {
		return err
	}
	return v.contents.Chunks(c)
}
