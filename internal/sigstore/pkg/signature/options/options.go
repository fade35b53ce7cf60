// Package options is empty. go-tuf's own tests, which nobody runs from here, import sigstore's
// package of that name, and go mod tidy wants to find it.
package options
