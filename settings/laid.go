package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"deltaup/chunkstore"
	"deltaup/internal/folder"
)

const (
	magicLaid = "deltaup settings laid 1"
	maxLaid   = 512 << 10
	maxPlaces = 100
)

// Laid is what lies above the image of the running machine.
type Laid struct {
	Generation int           // 0: none, the image's defaults alone were laid
	Image      chunkstore.ID // the image that it was laid for
	Upper      int           // number of the folder in the store
	Places     []string      // sorted
}

// Laid tells what was laid last. The error wraps ErrNone when nothing ever was.
func (s *Store) Laid() (*Laid, error) {
	text, err := s.text(s.top, nameLaid, maxLaid)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", nameLaid, err)
	}
	return parseLaid(text)
}

func (l *Laid) format() []byte {
	to := fmt.Appendf(nil, "%s\ngeneration %d\nimage ", magicLaid, l.Generation)
	to = appendID(to, l.Image)
	to = fmt.Appendf(to, "\nupper %d\n", l.Upper)
	for _, p := range l.Places {
		to = fmt.Appendf(to, "place %s\n", strconv.QuoteToASCII(p))
	}
	return fmt.Appendf(to, "end %s\n", chunkstore.Sum(to))
}

func parseLaid(text []byte) (*Laid, error) {
	l, err := parseLaidLines(string(text))
	if err == nil && string(l.format()) != string(text) {
		err = errors.New("it is not as deltaup writes it")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", nameLaid, ErrDamaged, err)
	}
	return l, nil
}

func parseLaidLines(text string) (*Laid, error) {
	p := parser{rest: text}
	if first := p.line(); first != magicLaid {
		return nil, fmt.Errorf("it does not begin with %q but with %.60q", magicLaid, first)
	}
	l := &Laid{}
	l.Generation = int(p.field("generation").number(10, maxNumber))
	l.Image = p.field("image").id()
	l.Upper = int(p.field("upper").number(10, maxNumber))
	for p.is("place") && p.now.err == nil {
		place := p.field("place").quoted()
		switch {
		case p.now.err != nil:
		case validPath(place) != nil:
			p.now.fail("%w", validPath(place))
		case len(l.Places) == maxPlaces:
			p.now.fail("there are more than %d places", maxPlaces)
		case len(l.Places) > 0 && l.Places[len(l.Places)-1] >= place:
			p.now.fail("%.100q is not in order", place)
		}
		l.Places = append(l.Places, place)
	}
	p.field("end").id()
	return l, p.now.err
}

// placeName is the name of a place's folder in the upper folder: its path with - for /, and as
// systemd does it \x2d for -.
func placeName(place string) string {
	return strings.ReplaceAll(strings.ReplaceAll(place[1:], "-", `\x2d`), "/", "-")
}

// Names in a place's folder.
const (
	nameUp   = "upper"
	nameWork = "work"
)

// openUpper opens the upper or the work folder of a place. A boot that failed may have put the upper
// folder aside before it could lay another one.
func (s *Store) openUpper(number int, place, which string) (*folder.Folder, error) {
	if s.upper == nil {
		return nil, fmt.Errorf("upper folder %d: %w", number, ErrNone)
	}
	name := strconv.Itoa(number)
	if _, err := s.upper.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		name = lostPrefix + name
	}
	d, last, err := descend(s.upper, name+"/"+placeName(place)+"/"+which)
	if err == nil {
		at := d
		d, err = at.Folder(last)
		err = errors.Join(err, at.Close())
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", ErrNone, err)
	}
	return d, kindIsDamage(err)
}

// nextUpper is a number that no upper folder has, not even one that was put aside.
func (s *Store) nextUpper() (int, error) {
	if s.upper == nil {
		return 1, nil
	}
	names, err := s.upper.Names(maxUppers)
	if err != nil {
		return 0, kindIsDamage(err)
	}
	last := 0
	for _, name := range names {
		if n, ok := number(strings.TrimPrefix(name, lostPrefix)); ok {
			last = max(last, n)
		}
	}
	return last + 1, nil
}

// lostPrefix begins the name of an upper folder that could not be read and was put aside.
const lostPrefix = "lost-"

// keepUppers removes all upper folders but these.
func (s *Store) keepUppers(keep ...string) error {
	names, err := s.upper.Names(maxUppers)
	if err != nil {
		return kindIsDamage(err)
	}
	for _, name := range names {
		if !slices.Contains(keep, name) {
			if err := s.upper.Discard(name, s.trash); err != nil {
				return err
			}
		}
	}
	return nil
}
