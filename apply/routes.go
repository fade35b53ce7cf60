package apply

import (
	"errors"
	"fmt"
	"slices"

	"deltaup/delta"
)

// routes is the routes to an image, and why some of them are closed. An image that was published
// raw has the route raw alone.
type routes struct {
	patch  *patchRoute
	blocks *blocksRoute
	raw    *rawRoute
	table  []route // of all others; of equal offers the first is taken

	only   delta.Route // the one that was asked for; "": the best
	copied bool        // the request has a copy of the image
	closed map[delta.Route]error
	events *events
}

func newRoutes(u *Update) routes {
	r := routes{
		patch:  &patchRoute{rebuilding: rebuilding{u: u}},
		blocks: &blocksRoute{u: u},
		raw:    &rawRoute{u: u},

		only:   u.r.Route,
		copied: u.r.Copy != "",
		closed: map[delta.Route]error{},
		events: &u.events,
	}
	r.table = []route{
		r.patch,
		r.blocks,
		&chunksRoute{rebuilding: rebuilding{u: u}},
		&wholeRoute{u: u},
	}
	return r
}

// Routes lists the names of all routes that a Request may ask for. Of equal offers the first is
// taken.
func Routes() []delta.Route {
	var names []delta.Route
	for _, r := range newRoutes(new(Update)).table {
		names = append(names, r.name())
	}
	return names
}

// named gives a route of the table, or nil.
func (rs *routes) named(name delta.Route) route {
	for _, x := range rs.table {
		if x.name() == name {
			return x
		}
	}
	return nil
}

// readsFiles tells whether the route of that name needs to know the files in the seeds.
func (rs *routes) readsFiles(name delta.Route) bool {
	x := rs.named(name)
	return x != nil && x.traits().readsFiles
}

// closedFor says why the route is not taken whatever it costs; "" when it may be.
func (rs *routes) closedFor(r route) string {
	switch why := rs.closed[r.name()]; {
	case why != nil:
		return why.Error()
	case rs.laysCopy() && !r.laysCopy():
		return "a copy of the image has nearly all of it"
	case rs.only != "" && r.name() != rs.only:
		return fmt.Sprintf("only the route %s was asked for", rs.only)
	}
	return ""
}

// laysCopy tells whether a route lays the image from the copy of it that there is.
func (rs *routes) laysCopy() bool {
	return rs.copied && rs.only == "" && slices.ContainsFunc(rs.table, func(r route) bool {
		return rs.closed[r.name()] == nil && r.laysCopy()
	})
}

// closeRoute gives a route up for this update, with a warning.
func (rs *routes) closeRoute(r route, err error) {
	rs.events.warn("the route %s is given up: %v", r.name(), err)
	rs.closed[r.name()] = err
}

// closeImage gives up, with a warning, the route that fetched from the image's file, and with it
// all others that take this file.
func (rs *routes) closeImage(r route, err error) {
	rs.closeRoute(r, err)
	for _, other := range rs.table {
		if other.traits().takesImage {
			rs.closed[other.name()] = err
		}
	}
}

// noRoute lets a caller see why no route is left: err, which names the reasons, wraps those of the
// routes that failed too.
func (rs *routes) noRoute(err error) error {
	if !errors.Is(err, delta.ErrNoRoute) {
		return err
	}
	causes := []error{err}
	for _, why := range rs.closed {
		causes = append(causes, why)
	}
	return &routeError{err, causes}
}

// routeError reads as error alone.
type routeError struct {
	error
	causes []error
}

func (e *routeError) Unwrap() []error { return e.causes }
