package apply

import "deltaup/apply/state"

// SetStepMemory gives a target other memory for steps, in bytes. restore undoes that.
func SetStepMemory(bytes int64) (restore func()) {
	before := heapStep
	heapStep = bytes
	return func() { heapStep = before }
}

// SetStepRoom gives a target so many bytes of room for what steps make. restore undoes that.
func SetStepRoom(bytes int64) (restore func()) {
	before := hasRoom
	hasRoom = func(_ *state.Folder, n int64) (bool, error) { return n <= bytes, nil }
	return func() { hasRoom = before }
}

// SetMadeRoom gives a target a state folder with so many bytes free for made blocks and all else.
// restore undoes that.
func SetMadeRoom(bytes int64) (restore func()) {
	before := freeRoom
	freeRoom = func(*state.Folder) (int64, error) { return bytes, nil }
	return func() { freeRoom = before }
}

// EarlyLeft waits for the early work, and says of how many seeds nobody has taken what was found
// out.
func EarlyLeft(e *Early) (left int) {
	<-e.ended
	for _, x := range e.scans {
		if x.value != nil {
			left++
		}
	}
	for _, x := range e.seeds {
		if x.value != nil {
			left++
		}
	}
	return left
}
