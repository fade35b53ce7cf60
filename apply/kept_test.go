package apply

import (
	"errors"
	"io"
	"testing"
)

// TestBecause demands one line that both errors can be found in, also of a failure for which a kept
// recipe may be the reason.
func TestBecause(t *testing.T) {
	if got := because(ErrSeed, nil); got != ErrSeed {
		t.Errorf("without a cause: %v", got)
	}
	err := error(&keptError{because(errOtherRecipe, io.EOF)})
	if !errors.Is(err, errOtherRecipe) || !errors.Is(err, io.EOF) ||
		err.Error() != errOtherRecipe.Error()+": EOF" {
		t.Errorf("got %q", err)
	}
}
