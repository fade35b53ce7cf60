package loader

import "fmt"

// Level is how serious a finding is.
type Level string

// The levels of a finding.
const (
	Good    Level = "good"
	Unknown Level = "unknown" // could not be proved yet
	Wrong   Level = "wrong"
)

// Finding is one thing that a doctor looked at.
type Finding struct {
	Level  Level  `json:"level"`
	What   string `json:"what"`
	Advice string `json:"advice,omitempty"` // what to do about it
}

// Findings are in the order in which they are told.
type Findings []Finding

// Good adds what is as it should be.
func (l *Findings) Good(format string, args ...any) {
	*l = append(*l, Finding{Level: Good, What: fmt.Sprintf(format, args...)})
}

// Wrong adds what would keep an update or a fallback from working.
func (l *Findings) Wrong(advice, format string, args ...any) {
	*l = append(*l, Finding{Wrong, fmt.Sprintf(format, args...), advice})
}

// Unknown adds what could not be proved.
func (l *Findings) Unknown(advice, format string, args ...any) {
	*l = append(*l, Finding{Unknown, fmt.Sprintf(format, args...), advice})
}

// Inspection is what a boot loader finds out about itself on a machine.
type Inspection struct {
	Where string // where its state lies, in the words of the configuration
	Sound bool   // there is a state that can be read
	State Findings
	Boot  Findings            // whether this boot was by that state
	Slots map[string]Findings // of single slots, by name
}
