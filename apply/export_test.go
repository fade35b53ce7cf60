package apply

// SetStepMemory gives a target other memory for steps, in bytes. restore undoes that.
func SetStepMemory(bytes int64) (restore func()) {
	before := heapStep
	heapStep = bytes
	return func() { heapStep = before }
}
