// Package cpuid replaces klauspost's package of that name. zeebo's blake3 asks it for two features
// of the processor. klauspost's package finds out much more when the program starts, which makes
// the command for targets 0.04 MB larger. golang.org/x/sys/cpu, which is in the program anyway,
// knows both. go.mod has the replacement.
//
// A version of blake3 that asks for more fails to compile.
package cpuid

import "golang.org/x/sys/cpu"

// FeatureID is a feature of a processor.
type FeatureID int

// The features that blake3 asks for.
const (
	SSE4 FeatureID = iota // SSE 4.1
	AVX2
)

// CPUInfo is what is known of a processor.
type CPUInfo struct{}

// CPU is the processor that the program runs on.
var CPU CPUInfo

// Has tells whether processor and kernel support a feature.
func (CPUInfo) Has(id FeatureID) bool {
	switch id {
	case SSE4:
		return cpu.X86.HasSSE41
	case AVX2:
		return cpu.X86.HasAVX2
	default:
		return false
	}
}
