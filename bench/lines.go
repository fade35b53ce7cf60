package bench

import (
	"context"
	"math"
	"slices"
)

// computeAll computes every method's time on every line of the report. deltaup's planner says which
// route it takes on each line and CPU.
func (s *session) computeAll() error {
	var plans map[Line]string
	for _, weak := range []bool{false, true} {
		// a quick run uses the routes of this machine's CPU for the weak CPU too
		if !weak || !s.Quick {
			var err error
			if plans, err = s.plans(weak); err != nil {
				return err
			}
		}
		for i := range s.report.Methods {
			m := &s.report.Methods[i]
			for _, line := range reportLines() {
				p := Point{Method: m.ID, Line: line, Weak: weak}
				figures := m
				// A first update takes the same route when that needs no recipe.
				if route := plans[line]; route != "" &&
					(m.ID == "deltaup" || m.ID == firstUpdate && route != "patch") {
					p.Route = route
					if f := s.report.method(routeMethod(route)); f != nil && m.Route != route {
						figures = f
					}
				}
				p.Seconds, p.Download = compute(figures, line, weak)
				s.report.Points = append(s.report.Points, p)
			}
		}
	}
	return nil
}

// plans asks deltaup's planner for the route on each line. Without deltaup among the methods it
// gives none.
func (s *session) plans(weak bool) (map[Line]string, error) {
	i := slices.IndexFunc(s.methods, func(m method) bool { return m.id == "deltaup" })
	if i < 0 {
		return nil, nil
	}
	p := planner{s: s, m: &s.methods[i], weak: weak, routes: map[Line]string{}}
	if err := p.between(curveLines(), 0, len(curveRates)-1); err != nil {
		return nil, err
	}
	if weak { // no chart shows the weak CPU on the other lines
		return p.routes, nil
	}
	if err := p.between(roundLines(), 0, len(curveRTTs)-1); err != nil {
		return nil, err
	}
	for _, l := range lines {
		if s.Quick {
			p.routes[l.Line] = p.nearest(l.Line)
			continue
		}
		if _, err := p.on(l.Line); err != nil {
			return nil, err
		}
	}
	return p.routes, nil
}

// planner asks deltaup's planner for routes, once for each line.
type planner struct {
	s      *session
	m      *method
	weak   bool
	routes map[Line]string
}

// between finds the routes of the lines along[from:to+1]. Along a curve the lines of one route lie
// together, so that between two lines with the same route no other route occurs.
func (p *planner) between(along []Line, from, to int) error {
	first, err := p.on(along[from])
	if err != nil {
		return err
	}
	last, err := p.on(along[to])
	if err != nil {
		return err
	}
	if first == last {
		for _, line := range along[from:to] {
			p.routes[line] = first
		}
		return nil
	}
	if to-from < 2 {
		return nil
	}
	mid := (from + to) / 2
	if err := p.between(along, from, mid); err != nil {
		return err
	}
	return p.between(along, mid, to)
}

// nearest gives the route on the curve's line with the nearest rate.
func (p *planner) nearest(line Line) string {
	best := curveLines()[0]
	for _, l := range curveLines() {
		if math.Abs(math.Log(l.Rate/line.Rate)) < math.Abs(math.Log(best.Rate/line.Rate)) {
			best = l
		}
	}
	return p.routes[best]
}

// on gives the route on a line.
func (p *planner) on(line Line) (string, error) {
	if route, ok := p.routes[line]; ok {
		return route, nil
	}
	e, err := p.s.planOn(p.m, line, p.weak)
	p.routes[line] = e.Route
	return e.Route, err
}

// planOn runs the planner on a target. It tells the planner about the line and does not shape it.
func (s *session) planOn(m *method, line Line, weak bool) (e pullEvent, err error) {
	ctx, stop := context.WithTimeout(s.ctx, pullLimit)
	defer stop()
	t := &target{
		subject: &s.report.Subject, deltaup: s.deltaup, of: m.of, kept: s.published(m),
		network: s.network,
	}
	var used sample
	err = s.withTarget(ctx, t, Line{}, weak, func() error {
		if m.seed != nil {
			if err := m.seed(ctx, t); err != nil {
				return err
			}
		}
		e, err = t.plan(ctx, line)
		return err
	}, &used)
	return e, err
}
