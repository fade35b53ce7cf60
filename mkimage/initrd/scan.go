package initrd

import (
	"bufio"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/mkimage/internal/unpack"
)

// scanner takes initrds apart.
type scanner struct {
	content func(r io.Reader) (*chunkstore.Content, error) // called with a file's data
	members int
	plain   int64 // unpacked bytes read of archives and zeros
	head    [headerSize]byte
	name    [nameMax + 1]byte
}

// input is a stream of archives and zeros.
type input struct {
	*bufio.Reader
	pos   int64 // bytes read so far
	total *int64
}

func (s *scanner) input(r io.Reader) *input {
	return &input{Reader: bufio.NewReaderSize(r, unpack.BufferSize), total: &s.plain}
}

// full fills p.
func (in *input) full(p []byte) error {
	n, err := io.ReadFull(in.Reader, p)
	if err != nil {
		return notEOF(err)
	}
	return in.count(int64(n))
}

func (in *input) count(n int64) error {
	in.pos += n
	if *in.total += n; *in.total > plainMax {
		return unsupported("more than %d bytes", int64(plainMax))
	}
	return nil
}

// zeros skips zero bytes and counts them.
func (in *input) zeros() (int64, error) {
	start := in.pos
	for {
		b, err := in.Peek(1)
		if err != nil || b[0] != 0 {
			if err == io.EOF {
				err = nil
			}
			return in.pos - start, err
		}
		b, _ = in.Peek(in.Buffered())
		n := 0
		for n < len(b) && b[n] == 0 {
			n++
		}
		in.Discard(n) // these bytes are in the buffer
		if err := in.count(int64(n)); err != nil {
			return 0, err
		}
	}
}

// pad skips the zeros up to a multiple of 4.
func (in *input) pad() error {
	var b [4]byte
	p := b[:align(in.pos)]
	if err := in.full(p); err != nil {
		return err
	}
	if b != padding {
		return unsupported("padding that is not zero at %d", in.pos-int64(len(p)))
	}
	return nil
}

// initrd reads a whole file as the kernel does (unpack_to_rootfs in init/initramfs.c).
func (s *scanner) initrd(r io.Reader) ([]Segment, error) {
	in := s.input(r)
	var segments []Segment
	for {
		zeros, err := in.zeros()
		if err != nil {
			return nil, err
		}
		b, err := in.Peek(1)
		if err != nil && err != io.EOF {
			return nil, err
		}
		isPlain := err == nil && b[0] == '0'
		if last := len(segments) - 1; last >= 0 && !segments[last].packed {
			if isPlain {
				if err := s.archive(in, &segments[last], zeros); err != nil {
					return nil, err
				}
				continue
			}
			segments[last].zeros = zeros
		}
		if err == io.EOF {
			if len(segments) == 0 {
				return nil, unsupported("it is empty")
			}
			return segments, nil
		}
		if len(segments) == segmentsMax {
			return nil, unsupported("more than %d segments", segmentsMax)
		}
		segments = append(segments, Segment{packed: !isPlain})
		seg := &segments[len(segments)-1]
		if isPlain {
			if len(segments) > 1 {
				zeros, in.pos = 0, 0 // they only aligned the archive, which Build does anew
			}
			err = s.archive(in, seg, zeros)
		} else {
			err = s.packed(in, seg)
		}
		if err != nil {
			return nil, err
		}
	}
}

// packed reads a compressed segment.
func (s *scanner) packed(in *input, seg *Segment) error {
	name, plain, err := unpack.Open(in.Reader)
	if err == nil {
		err = s.archives(s.input(plain), seg)
		plain.Close() // at the end of the stream the decoder has verified everything
	}
	if err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	return nil
}

// archives reads archives and zeros up to the stream's end.
func (s *scanner) archives(in *input, seg *Segment) error {
	for {
		zeros, err := in.zeros()
		if err != nil {
			return err
		}
		if _, err := in.Peek(1); err == io.EOF {
			seg.zeros = zeros
			if len(seg.Archives) == 0 {
				return unsupported("a compressed part without an archive")
			}
			return nil
		}
		if err := s.archive(in, seg, zeros); err != nil {
			return err
		}
	}
}

// archive reads one archive up to its trailer's name.
func (s *scanner) archive(in *input, seg *Segment, zeros int64) error {
	if align(in.pos) != 0 {
		return unsupported("an archive at %d, which is no multiple of 4", in.pos)
	}
	if len(seg.Archives) == archivesMax {
		return unsupported("more than %d archives in a row", archivesMax)
	}
	seg.Archives = append(seg.Archives, Archive{zeros: zeros})
	a := &seg.Archives[len(seg.Archives)-1]
	for upper := false; ; {
		h, err := s.header(in)
		if err != nil {
			return err
		}
		if len(a.Members) > 0 && h.crc != a.crc {
			return unsupported("%.200q: another magic than before", h.member.Name)
		}
		a.crc = h.crc
		a.lower = a.lower || h.lower
		if upper = upper || h.upper; upper && a.lower {
			return unsupported("%.200q: numbers in upper and in lower case", h.member.Name)
		}
		if s.members++; s.members > membersMax {
			return unsupported("more than %d files", membersMax)
		}
		if err := s.data(in, h); err != nil {
			return fmt.Errorf("%.200q: %w", h.member.Name, err)
		}
		a.Members = append(a.Members, h.member)
		if h.member.isTrailer() {
			return nil
		}
	}
}

// header reads a header, the name that follows it and its padding.
func (s *scanner) header(in *input) (*header, error) {
	at := in.pos
	if err := in.full(s.head[:]); err != nil {
		return nil, fmt.Errorf("header at %d: %w", at, err)
	}
	h, err := parseHeader(s.head[:])
	if err != nil {
		return nil, fmt.Errorf("header at %d: %w", at, err)
	}
	if h.nameSize < 2 || h.nameSize > nameMax+1 {
		return nil, unsupported("header at %d: a name of %d bytes", at, h.nameSize)
	}
	name := s.name[:h.nameSize]
	if err := in.full(name); err != nil {
		return nil, fmt.Errorf("header at %d: %w", at, err)
	}
	if name[len(name)-1] != 0 {
		return nil, unsupported("header at %d: a name without its NUL", at)
	}
	h.member.Name = string(name[:len(name)-1])
	if h.member.isTrailer() {
		return h, nil
	}
	return h, in.pad()
}

// data reads a member's data and their padding.
func (s *scanner) data(in *input, h *header) error {
	m := &h.member
	if h.size > 0 {
		switch {
		case m.isTrailer():
			return unsupported("a trailer with %d bytes", h.size)
		case m.mode&modeType == modeFile:
			limited := &io.LimitedReader{R: in.Reader, N: int64(h.size)}
			c, err := s.content(limited)
			if err != nil {
				return err
			}
			if c.Size != int64(h.size) {
				return io.ErrUnexpectedEOF
			}
			m.Content = c
			if err := in.count(c.Size); err != nil {
				return err
			}
		case m.mode&modeType == modeLink && h.size <= targetMax:
			target := make([]byte, h.size)
			if err := in.full(target); err != nil {
				return err
			}
			m.target = string(target)
		default:
			return unsupported("%d bytes in a file of mode %o", h.size, m.mode)
		}
		if err := in.pad(); err != nil {
			return err
		}
	}
	if err := m.validate(); err != nil {
		return unsupported("%v", err)
	}
	return nil
}

// notEOF turns io.EOF into io.ErrUnexpectedEOF, for the middle of a header.
func notEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
