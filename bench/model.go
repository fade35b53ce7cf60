package bench

// headerShare is the factor that the headers of Ethernet, IP and TCP add: 1514 bytes carry 1448.
const headerShare = 1514.0 / 1448

// compute estimates a method's time on a line, in seconds, from measurements without one: its time
// on the loopback, its bytes in both directions, and the round trips that it takes one after
// another. Tools that rebuild while they fetch are quicker than that.
func compute(m *Result, line Line, weak bool) (seconds, download float64) {
	local := m.Wall.Median
	if weak {
		local = m.WeakWall
	}
	if line.Rate > 0 {
		download = (m.Sent.Median + m.Received.Median) * headerShare * 8 / line.Rate
	}
	download += m.Rounds * line.RTT.Seconds()
	return local + download, download
}

// routeMethod is the id of the method that has the figures of a route of deltaup.
func routeMethod(route string) string {
	switch route {
	case "patch":
		return "deltaup-bytes"
	case "chunks":
		return "deltaup-chunks"
	case "blocks":
		return "deltaup-blocks"
	}
	return "deltaup-whole"
}

// reportLines are the lines of all tables and charts, each once.
func reportLines() []Line {
	var all []Line
	seen := map[Line]bool{}
	add := func(l Line) {
		if !seen[l] {
			seen[l] = true
			all = append(all, l)
		}
	}
	for _, l := range lines {
		add(l.Line)
	}
	for _, l := range append(curveLines(), roundLines()...) {
		add(l)
	}
	return all
}

// curveLines are the lines of the chart of time against bandwidth.
func curveLines() []Line {
	var all []Line
	for _, rate := range curveRates {
		all = append(all, Line{Rate: rate, RTT: curveRTT})
	}
	return all
}

// roundLines are the lines of the chart of time against the round trip.
func roundLines() []Line {
	var all []Line
	for _, rtt := range curveRTTs {
		all = append(all, Line{Rate: roundRate, RTT: rtt})
	}
	return all
}
