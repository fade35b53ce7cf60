package patchset

import (
	"io"

	"deltaup/delta/suffix"
	"deltaup/delta/transform"
)

// Where the patches of all pieces of a program copy from says where everything has moved, and so
// what becomes of addresses. A target knows that once it has the patches, before it makes the first
// piece.

const (
	movesMemory     = 32 << 20 // at most, while they are added
	predictorMemory = 2 << 20
	movedSlow       = 3
)

// movedEffort is what predicting the addresses of a program of so many bytes takes. A move is no
// longer than what it moves. A slice that grows takes less than three times what it had.
func movedEffort(size int64) transform.Effort {
	return transform.Effort{
		Memory: predictorMemory + min(movesMemory, 3*size),
		Slow:   movedSlow,
	}
}

// Prepared is what making the entries of one content takes beside their groups; nil: nothing.
// Several goroutines may use it at once.
type Prepared struct{ moves *suffix.Moves }

// Prepare makes ready for making entry i, and with it the other entries of the same content. group
// opens the groups of the set; errors are those of group.
func (s *Step) Prepare(i int, group func(n int) (*Group, error)) (*Prepared, error) {
	e := &s.Entries[i]
	if e.layouts == nil {
		return nil, nil
	}
	moves := new(suffix.Moves)
	for ; i > 0 && s.Entries[i-1].Content == e.Content; i-- {
	}
	for ; i < len(s.Entries) && s.Entries[i].Content == e.Content; i++ {
		x := &s.Entries[i]
		g, err := group(x.Group)
		if err != nil {
			return nil, err
		}
		moves.Add(g.patches[i-g.first], x.Offset, x.Length)
	}
	moves.Sort()
	return &Prepared{moves}, nil
}

// moved makes an entry whose addresses are predicted.
func (e *Entry) moved(old io.ReaderAt, s suffix.Streams, moves *suffix.Moves) ([]byte, error) {
	return suffix.PatchGuessed(nil, old, e.Base.Size, s, e.length, e.Offset, e.guess(moves))
}

func (e *Entry) guess(moves *suffix.Moves) suffix.Guess {
	return transform.NewPredictor(e.layouts.old, e.layouts.new, moves).Predict
}
