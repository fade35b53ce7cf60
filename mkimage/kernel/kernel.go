// Package kernel takes a Linux kernel apart and makes it again, so that what is compressed in it can
// be a content that is patched:
//
//	kernel --NewRecipe--> recipe, contents   (publisher; a target with its old kernel)
//	recipe + contents --Build--> kernel      (publisher and every target: the same bytes)
//
// A kernel is a payload, mostly compressed, and what lies before and behind it. [NewRecipe] looks
// for the encoder that made the compressed payload, which the [Recipe] names as its codec. So
// [Build] makes the kernel that was taken apart, unlike package initrd, which makes another one.
// The caller's mkimage.Source finds contents. Formats of kernels and of recipes: doc/kernel.md.
package kernel

import (
	"errors"
	"fmt"
	"iter"

	"deltaup/chunkstore"
	"deltaup/mkimage/internal/recipetext"
)

// ErrUnsupported is wrapped when a file is no kernel of a format known here, or when nothing here
// makes its payload again. A publisher can still publish it as it is.
var ErrUnsupported = errors.New("the kernel can't be taken apart")

// ErrForeign is wrapped besides ErrUnsupported when a file has no format known here: it may be
// anything that some machine boots.
var ErrForeign = errors.New("it has none of the formats known here")

// Recipe is everything except contents that decides a kernel's bytes.
type Recipe struct {
	Codec    string            // id of a codec, see KnownCodec; "" when nobody has looked for it
	Chunking chunkstore.Params // how contents were cut
	// Before and Behind lie around the payload in the file; nil: nothing does. Contents with the
	// same bytes are the same.
	Before, Behind *chunkstore.Content
	Payload        *chunkstore.Content // the kernel proper, plain; never nil
}

// Limits in bytes, which are five times and more what the largest kernels have.
const (
	contentMax = 512 << 20 // of each content
	streamMax  = 128 << 20 // of the compressed payload
)

// whole tells whether the kernel is one content.
func (r *Recipe) whole() bool {
	return r.Codec == codecs[0].id && r.Before == nil && r.Behind == nil
}

// Whole gives the recipe of a kernel that is one content, cut as p says.
func Whole(c *chunkstore.Content, p chunkstore.Params) *Recipe {
	return &Recipe{Codec: codecs[0].id, Chunking: p, Payload: c}
}

// Parts gives the contents by their names, in the order in which they make the kernel.
func (r *Recipe) Parts() iter.Seq2[string, *chunkstore.Content] {
	return func(yield func(string, *chunkstore.Content) bool) {
		_ = (r.Before == nil || yield(wordBefore, r.Before)) && yield(wordPayload, r.Payload) &&
			(r.Behind == nil || yield(wordBehind, r.Behind))
	}
}

// Contents gives the distinct contents in order of first appearance.
func (r *Recipe) Contents() iter.Seq[*chunkstore.Content] {
	return func(yield func(*chunkstore.Content) bool) {
		seen := map[*chunkstore.Content]bool{}
		for _, c := range r.Parts() {
			if !seen[c] && !yield(c) {
				return
			}
			seen[c] = true
		}
	}
}

// unsupported is an error that wraps ErrUnsupported.
func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsupported}, args...)...)
}

// corrupt is an error about a recipe that wraps chunkstore.ErrCorrupt.
func corrupt(format string, args ...any) error { return recipetext.Corrupt(format, args...) }
