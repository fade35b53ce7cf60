package apply

import (
	"slices"
	"testing"

	"deltaup/delta"
)

// TestRouteTable: routes have names of their own, by which they are found, and are preferred in
// that order.
func TestRouteTable(t *testing.T) {
	if got, want := Routes(), []delta.Route{"patch", "blocks", "chunks", "whole"}; !slices.Equal(got, want) {
		t.Errorf("routes %q, want %q", got, want)
	}
	r := newRoutes(new(Update))
	for _, x := range r.table {
		if r.named(x.name()) != x {
			t.Errorf("%q is the name of another route", x.name())
		}
	}
	for _, name := range Routes() {
		x := r.named(name)
		if got := x.traits(); got.readsFiles == got.takesImage || got.proven != (name == "whole") {
			t.Errorf("the route %s has the traits %+v", name, got)
		}
	}
	if r.named("") != nil || r.readsFiles("") || !r.readsFiles("patch") || r.readsFiles("whole") {
		t.Error("a route reads files that it does not need, or none of that name does")
	}
}
