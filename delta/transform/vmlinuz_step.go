package transform

import "deltaup/delta/transform/parsestep"

// Copy says that bytes of a new content, rewritten, are like those of an old one.
type Copy = parsestep.Run

const (
	// copyMin is how many bytes a copy has at least that is worth telling.
	copyMin = 32
	// Between copies whose places differ by as much, so many bytes are taken for copied, too.
	copyGap = 128
)

// AddStep gives what a patch makes of a new content with a transform with Stepped. form is what
// Forward gave for it, old its base. copies tells, in order and apart, where form is like the
// rewritten base. ok is false when there is no such step.
func AddStep(t Transform, form, old, plain []byte, copies []Copy) (out []byte, ok bool) {
	v, ok := t.(vmlinuz)
	if !ok {
		return nil, false
	}
	begin, end, ok := v.find(plain)
	oldBegin, oldEnd, ok2 := v.find(old)
	if !ok || !ok2 {
		return nil, false
	}
	packed := plain[begin:end]
	content, _, ok := v.unpack(plain[begin:], len(packed), false)
	if !ok {
		return nil, false
	}
	step, err := v.makeStep(old[oldBegin:oldEnd], packed, content,
		longCopies(copies, len(content)))
	if err != nil {
		return nil, false
	}
	out = append(form[:len(form):len(form)], step...)
	for _, n := range []int{begin, len(plain) - end, len(step), len(packed)} {
		out = le.AppendUint32(out, uint32(n))
	}
	return out, true
}

// longCopies joins copies of a content of size bytes, and drops short ones.
func longCopies(copies []Copy, size int) (list []Copy) {
	var last Copy
	keep := func() {
		if last.Size >= copyMin {
			list = append(list, last)
		}
	}
	for _, c := range copies {
		c.Size = min(c.Size, size-c.New, LargeMax-c.Old)
		gap := c.New - last.New - last.Size
		switch {
		case c.Size <= 0:
		case c.New-c.Old == last.New-last.Old && gap <= copyGap:
			last.Size += gap + c.Size
		default:
			keep()
			last = c
		}
	}
	keep()
	return list
}
